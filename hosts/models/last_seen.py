"""What every thing that a host reports has: when it was last seen, and since when it is gone."""

from django.db import models


class LastSeen(models.Model):
    """Nothing is forgotten when it vanishes: `missing_since` is set until it is back."""

    seen_at = models.DateTimeField()
    missing_since = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True


class SeenSince(LastSeen):
    """Likewise, with the time at which it was first seen."""

    first_seen_at = models.DateTimeField()

    class Meta:
        abstract = True
