"""How people get in: links, sessions, the tries that the sign-in counts, and what happened."""

from django.contrib.auth.models import User
from django.db import models


class FirstLink(models.Model):
    """A link that works once: for the first account, or for a new password of `user`.

    Only its digest is kept: the database opens nothing.
    """

    token_hash = models.CharField(max_length=64, unique=True, help_text="SHA-256, hexadecimal")
    user = models.ForeignKey(
        User,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="+",
        help_text="whose password it sets; without one it makes the first account",
    )
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"first link of {self.created_at:%Y-%m-%d %H:%M}"


class SignInTry(models.Model):
    """One try to sign in that did not succeed (or has not yet). Kept only while it counts."""

    address = models.CharField(max_length=64, help_text="where it came from, as it is counted")
    name_hash = models.CharField(
        max_length=64, help_text="SHA-256: people type passwords into the field for the name"
    )
    stranger = models.BooleanField(
        default=True, help_text="no sign-in with that name from there before"
    )
    at = models.DateTimeField()

    class Meta:
        indexes = (models.Index(fields=("address", "at")),)

    def __str__(self) -> str:
        return f"try from {self.address}"


class Session(models.Model):
    """One browser that is signed in. What its cookie holds is not kept, only its digest."""

    key_hash = models.CharField(max_length=64, unique=True, help_text="SHA-256, hexadecimal")
    user = models.ForeignKey(User, null=True, on_delete=models.CASCADE, related_name="+")
    data = models.TextField(help_text="signed, as django.core.signing writes it")
    created_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    address = models.CharField(max_length=64, default="", help_text="where it was last seen")
    browser = models.CharField(max_length=80, default="", help_text="in words")

    def __str__(self) -> str:
        return f"session of {self.browser or 'a browser'}"


class AccountEvent(models.Model):
    """What happened with an account, for its owner to look through."""

    class Kind(models.TextChoices):
        SIGNED_IN = "signed in", "signed in"
        PASSWORD = "password", "the password was changed"
        LINK = "link", "a link for a new password was made"
        ENDED = "ended", "sessions were ended"

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=16, choices=Kind.choices)
    at = models.DateTimeField()
    address = models.CharField(max_length=64, default="", help_text="empty: the command line")

    class Meta:
        indexes = (models.Index(fields=("user", "kind", "at")),)

    def __str__(self) -> str:
        return f"{self.kind} at {self.at:%Y-%m-%d %H:%M}"
