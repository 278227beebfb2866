"""Samples in three tiers of wide rows. Values are packed 32-bit floats, little-endian.

One row holds all values of one subject at one time, in the order of labpanel.lib.metrics.LAYOUTS;
NaN stands for no value. The two upper tiers hold three blocks in one row: min, mean, max.
A packed value costs 4 bytes where SQLite's REAL costs 9, so that row and index overhead stay
within 12 bytes for each stored value.
"""

from django.db import models

from hosts.models.host import Host
from hosts.models.vm import VM


class Subject(models.Model):
    """A thing with samples: a VM, one of its disks or NICs, a host, one of its devices."""

    kind = models.CharField(max_length=16, help_text="a key of labpanel.lib.metrics.LAYOUTS")
    name = models.CharField(max_length=255, blank=True, help_text="vda, MAC, sda, mount point")
    host = models.ForeignKey(Host, null=True, blank=True, on_delete=models.CASCADE)
    vm = models.ForeignKey(VM, null=True, blank=True, on_delete=models.CASCADE)
    latest_at = models.BigIntegerField(default=0, help_text="seconds since 1970, UTC")
    latest = models.BinaryField(default=b"")
    recent = models.BinaryField(
        default=b"", help_text="the first value's means over the last 60 minutes, newest last"
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
    """The shape of a tier. `at` is in seconds since 1970 (UTC), the start of its bucket."""

    subject = models.ForeignKey(Subject, on_delete=models.CASCADE, db_index=False, related_name="+")
    at = models.BigIntegerField()
    values = models.BinaryField()

    class Meta:
        abstract = True


class Sample10s(Sample):
    """Every 10 s, kept for 2 days: one block of values."""

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("subject", "at"), name="one_10s_sample_at_a_time"),
        )


class Sample5m(Sample):
    """Every 5 minutes, kept for 60 days: min, mean, max."""

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("subject", "at"), name="one_5m_sample_at_a_time"),
        )


class Sample1h(Sample):
    """Every hour, kept for 3 years: min, mean, max."""

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("subject", "at"), name="one_1h_sample_at_a_time"),
        )
