"""How people get in: the first link, and the tries that the sign-in counts."""

from django.db import models


class FirstLink(models.Model):
    """A link that makes the first account. Only its digest is kept: the database opens nothing."""

    token_hash = models.CharField(max_length=64, unique=True, help_text="SHA-256, hexadecimal")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"first link of {self.created_at:%Y-%m-%d %H:%M}"


class SignInTry(models.Model):
    """One try to sign in that did not succeed (or has not yet). Kept only while it counts."""

    address = models.CharField(max_length=64, help_text="where it came from")
    name_hash = models.CharField(
        max_length=64, help_text="SHA-256: people type passwords into the field for the name"
    )
    at = models.DateTimeField()

    class Meta:
        indexes = (models.Index(fields=("address", "at")),)

    def __str__(self) -> str:
        return f"try from {self.address}"
