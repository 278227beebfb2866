"""Evidence and what was concluded from it, both with their history."""

from django.db import models
from django.utils import timezone

from hosts.models.host import Host
from labpanel.symptoms.kinds import About, Kind, Level, SubjectKind
from labpanel.symptoms.stored import parse_facts
from labpanel.symptoms.words import of_facts
from labpanel.symptoms.words.wording import Wording


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
    """A symptom, from opened to resolved. At most one is open for a host, kind and subject.

    It holds facts, no sentence: `sentence` and `advice` are made of them when they are read. Rows
    of a panel from before facts were kept show the sentence that was written then, until the next
    look writes facts in its place.
    """

    host = models.ForeignKey(
        Host, null=True, blank=True, on_delete=models.CASCADE, related_name="findings"
    )
    kind = models.CharField(max_length=32, choices=[(one.value, one.value) for one in Kind])
    about = models.CharField(
        max_length=8, choices=[(one.value, one.value) for one in About], default=About.HOST.value
    )
    subject_kind = models.CharField(
        max_length=16,
        choices=[(one.value, one.value) for one in SubjectKind],
        default=SubjectKind.HOST.value,
    )
    subject = models.TextField(blank=True, help_text="tells it from others of its sort on a host")
    severity = models.CharField(max_length=8, choices=[(one.value, one.value) for one in Level])
    facts = models.JSONField(null=True, blank=True, help_text="labpanel.symptoms.facts, by kind")
    old_sentence = models.TextField(
        blank=True, default="", help_text="written before facts were kept"
    )
    old_advice = models.TextField(blank=True, default="", help_text="likewise")
    evidence = models.JSONField(default=list, help_text='[{"what", "value", "source", "since"}]')
    vms = models.ManyToManyField("hosts.VM", related_name="findings", blank=True)
    opened_at = models.DateTimeField()
    looked_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True, blank=True)
    until_seen = models.BooleanField(
        default=False, help_text="it stands until its owner says that they have seen it"
    )
    ended_by = models.CharField(
        max_length=150, blank=True, help_text="who said that they have seen it"
    )

    class Meta:
        ordering = ("-opened_at",)
        constraints = (
            models.UniqueConstraint(
                fields=("host", "kind", "subject"),
                condition=models.Q(resolved_at__isnull=True),
                name="one_open_finding_for_a_cause",
                violation_error_message="This trouble is already open.",
            ),
            # To SQL no host is unlike another no host: of those at none a rule of its own.
            models.UniqueConstraint(
                fields=("kind", "subject"),
                condition=models.Q(resolved_at__isnull=True, host__isnull=True),
                name="one_open_finding_of_no_host",
                violation_error_message="This trouble is already open.",
            ),
        )

    def __str__(self) -> str:
        return self.sentence

    @property
    def where(self) -> str:
        """The name of its host; empty of one that is at none."""
        return self.host.name if self.host is not None else ""

    @property
    def wording(self) -> Wording:
        facts = parse_facts(self.kind, self.facts)
        if facts is None:
            return Wording(self.old_sentence or self.kind, self.old_advice)
        return of_facts.wording(facts, timezone.localtime(self.looked_at))

    @property
    def sentence(self) -> str:
        """What is wrong with which thing."""
        return self.wording.headline

    @property
    def advice(self) -> str:
        """What it means and what to do now."""
        return self.wording.advice
