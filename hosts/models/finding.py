"""Evidence and what was concluded from it, both with their history."""

from django.db import models

from hosts.models.host import Host


class Reading(models.Model):
    """One piece of evidence, kept as a stretch of time in which it read the same.

    `kind` names the sentinel (mount, ext4, canary, smart, libvirt…), `subject` the thing it looked
    at (a mount point, a drive's key). A new row begins when the value changes.
    """

    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="readings")
    kind = models.CharField(max_length=32)
    subject = models.TextField(blank=True)
    value = models.JSONField()
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()

    class Meta:
        ordering = ("-last_at",)
        indexes = (models.Index(fields=("host", "kind", "last_at")),)

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}"


class Finding(models.Model):
    """A trouble, from opened to resolved. At most one is open for a host, kind and subject."""

    class Severity(models.TextChoices):
        WATCH = "watch"
        BAD = "bad"

    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="findings")
    kind = models.CharField(max_length=32, help_text="file-system, drive, host, libvirt, …")
    subject = models.TextField(blank=True)
    severity = models.CharField(max_length=8, choices=Severity.choices)
    sentence = models.TextField(help_text="what is wrong with which thing")
    advice = models.TextField(blank=True, help_text="what to do now")
    evidence = models.JSONField(default=list, help_text='[{"what", "value", "source", "since"}]')
    vms = models.ManyToManyField("hosts.VM", related_name="findings", blank=True)
    opened_at = models.DateTimeField()
    looked_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-opened_at",)
        constraints = (
            models.UniqueConstraint(
                fields=("host", "kind", "subject"),
                condition=models.Q(resolved_at__isnull=True),
                name="one_open_finding_for_a_cause",
                violation_error_message="This trouble is already open.",
            ),
        )

    def __str__(self) -> str:
        return self.sentence
