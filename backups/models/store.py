"""Stores: where backups are kept."""

from collections.abc import Iterable

from django.db import models

from hosts.models import Host, folders_in_use
from labpanel.lib.shapes import PANEL, Endpoint


class Store(models.Model):
    """A directory on some machine that keeps backups: on a host over SSH, or a local path."""

    name = models.SlugField(max_length=63, unique=True)
    host = models.ForeignKey(
        Host, null=True, blank=True, on_delete=models.PROTECT, related_name="stores"
    )
    path = models.TextField()
    store_id = models.UUIDField(unique=True, help_text="as written in the store's own marker file")
    added_at = models.DateTimeField(auto_now_add=True)
    looked_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True)
    size_bytes = models.BigIntegerField(null=True, blank=True)
    available_bytes = models.BigIntegerField(null=True, blank=True)
    strangers = models.JSONField(
        default=list, blank=True, help_text="paths in it that are not the panel's: left alone"
    )
    drives = models.JSONField(
        default=list, blank=True, help_text="keys of the physical disks below, if they are known"
    )

    class Meta:
        ordering = ("name",)
        constraints = (
            models.UniqueConstraint(
                fields=("host", "path"),
                name="one_store_for_a_path",
                violation_error_message="This directory already is a store.",
            ),
            # Two NULLs differ in SQL: the panel's own machine (no host) needs a rule of its own.
            models.UniqueConstraint(
                fields=("path",),
                condition=models.Q(host=None),
                name="one_local_store_for_a_path",
                violation_error_message="This directory already is a store.",
            ),
        )

    def __str__(self) -> str:
        return self.name

    def endpoint(self) -> Endpoint:
        return self.host.endpoint() if self.host else PANEL

    @property
    def where(self) -> str:
        return f"{self.path} on {self.host.name if self.host else 'the panel’s machine'}"


def _of_host(host: Host) -> Iterable[str]:
    """Folders of stores on a host; those without one are on the panel's own machine."""
    on_it = models.Q(host=host)
    if host.endpoint().is_local:
        on_it |= models.Q(host=None)
    return Store.objects.filter(on_it).values_list("path", flat=True)


folders_in_use.append(_of_host)


class StoreReading(models.Model):
    """How full a store was, one row a day (the latest look of that day): for its growth."""

    store = models.ForeignKey(Store, on_delete=models.CASCADE, related_name="readings")
    day = models.DateField()
    size_bytes = models.BigIntegerField()
    available_bytes = models.BigIntegerField()
    kept_bytes = models.BigIntegerField(help_text="what the generations in it take")

    class Meta:
        ordering = ("store", "day")
        constraints = (
            models.UniqueConstraint(fields=("store", "day"), name="one_reading_of_a_store_a_day"),
        )

    def __str__(self) -> str:
        return f"{self.store.name} {self.day}"
