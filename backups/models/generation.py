"""Generations. The truth lies in the stores; these rows are an index of it."""

from django.db import models
from django.urls import reverse

from backups.models.manifest_field import ManifestField
from backups.models.store import Store
from hosts.models import VM, Host


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

    class Trust(models.TextChoices):
        """Whether this panel made it. Unsigned ones came with their store, or are of an older
        version; strange ones appeared in a store that was looked at before."""

        SIGNED = "signed"
        UNSIGNED = "unsigned"
        STRANGE = "strange"
        FORGED = "forged"

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
    faults = models.JSONField(
        default=list, blank=True, help_text="the same, one by one: see backups/rules/faults.py"
    )
    manifest = ManifestField()
    left_out = models.JSONField(
        null=True, blank=True, help_text="what is not in it: see lib/left_out.py; null: not said"
    )
    trust = models.CharField(
        max_length=8,
        choices=Trust.choices,
        default=Trust.UNSIGNED,
        help_text="what its manifest's signature says: see backups/rules/trust.py",
    )
    hashed_at = models.DateTimeField(null=True, blank=True, help_text="level 1: files re-hashed")
    verified_at = models.DateTimeField(null=True, blank=True, help_text="level 2: content read")
    rehearsed_at = models.DateTimeField(null=True, blank=True, help_text="level 3: booted, passed")
    protected_because = models.TextField(
        blank=True, help_text="not empty: never pruned, and why its owner said so"
    )

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
        max_length=16, default="full", help_text="full, bitmap, full read, unchanged, deep"
    )
    why = models.TextField(blank=True, help_text="why this mode, as a sentence")
    parent = models.CharField(
        max_length=64, blank=True, help_text="key of the generation that its image backs on"
    )
    virtual_bytes = models.BigIntegerField()
    read_bytes = models.BigIntegerField()
    written_bytes = models.BigIntegerField()
    seconds = models.FloatField()
    unreadable = models.JSONField(
        default=list, blank=True, help_text="[first byte, byte after] not readable at the source"
    )
    missed = models.JSONField(
        default=list, blank=True, help_text="[first byte, byte after] that the bitmap had missed"
    )
    bad = models.JSONField(
        default=list,
        blank=True,
        help_text="[first byte, byte after] found rotten in the store; the next run sends them",
    )
    chain = models.JSONField(
        default=list, blank=True, help_text="paths that the live image backed on then"
    )
    inode = models.CharField(
        max_length=20, blank=True, help_text="of the live image's file; empty: not known"
    )
    former = models.TextField(
        blank=True,
        help_text="path of its parent's image, where their content showed one disk under two names",
    )
    replaced = models.BooleanField(
        default=False, help_text="its content showed another disk than its parent's"
    )

    class Meta:
        ordering = ("generation", "target")
        constraints = (
            models.UniqueConstraint(
                fields=("generation", "target"), name="one_disk_of_a_generation_for_a_target"
            ),
        )

    def __str__(self) -> str:
        return f"{self.generation.key} {self.target}"


class Rehearsal(models.Model):
    """One boot of a generation in isolation, and what was seen."""

    generation = models.ForeignKey(Generation, on_delete=models.CASCADE, related_name="rehearsals")
    host = models.ForeignKey(Host, null=True, on_delete=models.SET_NULL, related_name="rehearsals")
    began_at = models.DateTimeField()
    ended_at = models.DateTimeField()
    passed = models.BooleanField()
    sentence = models.TextField(help_text="the verdict, for the owner")
    checks = models.JSONField(
        default=list, help_text="what was looked at: {what, passed (true, false, null), seen}"
    )
    screenshot = models.BinaryField(null=True, help_text="PNG of the guest's screen at the end")
    thumbnail = models.BinaryField(null=True, help_text="the same, small")

    class Meta:
        ordering = ("-began_at",)

    def __str__(self) -> str:
        return f"{self.generation.key} on {self.began_at:%Y-%m-%d}"
