"""Stores and what they keep. The truth lies in the stores; these rows are an index of it."""

from django.db import models
from django.urls import reverse

from hosts.models import VM, Host
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


class Generation(models.Model):
    """One backup of one VM at one instant, all its disks. Indexed from its manifest.json."""

    class State(models.TextChoices):
        COMPLETE = "complete"
        DAMAGED = "damaged"
        MISSING = "missing"

    class Consistency(models.TextChoices):
        QUIESCED = "quiesced"
        CRASH = "crash-consistent"
        OFF = "powered off"

    key = models.CharField(max_length=64, unique=True, help_text="20261122T231500Z-3f9a")
    store = models.ForeignKey(Store, on_delete=models.CASCADE, related_name="generations")
    vm = models.ForeignKey(
        VM, null=True, blank=True, on_delete=models.SET_NULL, related_name="generations"
    )
    vm_uuid = models.UUIDField()
    vm_name = models.CharField(max_length=255)
    source_host = models.CharField(max_length=63)
    taken_at = models.DateTimeField()
    consistency = models.CharField(max_length=20, choices=Consistency.choices)
    state = models.CharField(max_length=12, choices=State.choices, default=State.COMPLETE)
    damage = models.TextField(blank=True, help_text="what is wrong: which file, where")
    manifest = models.JSONField()
    hashed_at = models.DateTimeField(null=True, blank=True, help_text="level 1: files re-hashed")
    verified_at = models.DateTimeField(null=True, blank=True, help_text="level 2: content read")
    rehearsed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-taken_at",)
        indexes = (models.Index(fields=("vm_uuid", "-taken_at")),)

    def __str__(self) -> str:
        return self.key

    def get_absolute_url(self) -> str:
        return reverse("generation", args=[self.key])


class GenerationDisk(models.Model):
    """One virtual disk in a generation."""

    generation = models.ForeignKey(Generation, on_delete=models.CASCADE, related_name="disks")
    target = models.CharField(max_length=32)
    source = models.TextField(help_text="path of the live image when the backup was taken")
    mode = models.CharField(
        max_length=16, default="full", help_text="full, bitmap, full read, deep"
    )
    virtual_bytes = models.BigIntegerField()
    read_bytes = models.BigIntegerField()
    written_bytes = models.BigIntegerField()
    seconds = models.FloatField()

    class Meta:
        ordering = ("generation", "target")
        constraints = (
            models.UniqueConstraint(
                fields=("generation", "target"), name="one_disk_of_a_generation_for_a_target"
            ),
        )

    def __str__(self) -> str:
        return f"{self.generation.key} {self.target}"


class Exclusion(models.Model):
    """A virtual disk that its owner took out of the backups, with the reason."""

    vm = models.ForeignKey(VM, on_delete=models.CASCADE, related_name="exclusions")
    target = models.CharField(max_length=32)
    reason = models.TextField()
    by = models.CharField(max_length=150)
    since = models.DateTimeField(auto_now_add=True)
    until = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("vm", "target"),
                name="one_exclusion_of_a_disk",
                violation_error_message="This disk is already excluded.",
            ),
        )

    def __str__(self) -> str:
        return f"{self.vm.name} {self.target}"
