"""Samples in tiers of wide rows. Values are packed 32-bit floats, little-endian.

One row holds all values of one subject at one time, in the order of labpanel.lib.metrics.LAYOUTS;
NaN stands for no value. The upper tiers hold three blocks in one row: min, mean, max.

The key is the subject and the time in one number, so that a subject's rows lie side by side in
the table itself: a range is read without an index, which would cost more bytes than the values
do (docs/decisions/0002-packed-samples.md).
"""

from typing import ClassVar

from django.db import models

from hosts.models.host import Host
from hosts.models.vm import VM

DAY = 86_400


class Subject(models.Model):
    """A thing with samples: a VM, one of its disks or NICs, a host, one of its devices."""

    kind = models.CharField(max_length=16, help_text="a key of labpanel.lib.metrics.LAYOUTS")
    name = models.CharField(max_length=255, blank=True, help_text="vda, MAC, sda, mount point")
    host = models.ForeignKey(Host, null=True, blank=True, on_delete=models.CASCADE)
    vm = models.ForeignKey(VM, null=True, blank=True, on_delete=models.CASCADE)
    latest_at = models.BigIntegerField(default=0, help_text="seconds since 1970, UTC")
    latest = models.BinaryField(default=b"")
    recent = models.BinaryField(
        default=b"", help_text="the headline's means over the last 60 minutes, newest last"
    )
    rolled_to = models.BigIntegerField(
        default=0, help_text="the upper tiers hold all of what was sampled before this second"
    )

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("vm", "kind", "name"),
                condition=models.Q(vm__isnull=False),
                name="one_subject_of_a_vm",
            ),
            models.UniqueConstraint(
                fields=("host", "kind", "name"),
                condition=models.Q(host__isnull=False),
                name="one_subject_of_a_host",
            ),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class Sample(models.Model):
    """The shape of a tier. STEP and KEPT are in seconds; BLOCKS is 3 for min, mean, max.

    A time is in seconds since 1970 (UTC), the start of its bucket; it fits 32 bits until 2106.
    """

    STEP: ClassVar[int]
    KEPT: ClassVar[int]
    BLOCKS: ClassVar[int] = 3

    # Always given, never counted up: but only an automatic key is SQLite's rowid itself, a 64-bit
    # key of another kind would be an index beside it.
    key = models.BigAutoField(primary_key=True, help_text="subject's id × 2³² + time")
    packed = models.BinaryField()

    class Meta:
        abstract = True

    @staticmethod
    def key_of(subject_id: int, at: int) -> int:
        return (subject_id << 32) + at

    @property
    def subject_id(self) -> int:
        return self.key >> 32

    @property
    def at(self) -> int:
        return self.key & 0xFFFFFFFF


class Sample10s(Sample):
    """As read: one block of values."""

    STEP, KEPT, BLOCKS = 10, 2 * DAY, 1


class Sample5m(Sample):
    STEP, KEPT = 300, 60 * DAY


class Sample1h(Sample):
    STEP, KEPT = 3600, 3 * 365 * DAY


class Sample1d(Sample):
    """A year in one look: 365 rows instead of 8 760 of the tier below."""

    STEP, KEPT = DAY, 10 * 365 * DAY


# from fine to coarse: each is rolled up from the one before
TIERS: tuple[type[Sample], ...] = (Sample10s, Sample5m, Sample1h, Sample1d)
