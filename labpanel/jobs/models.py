"""The ledger: every piece of work longer than a second is a row here, not a Celery result."""

from django.db import models
from django.urls import reverse

from labpanel.jobs.states import ACTIVE, FINAL, State


class Job(models.Model):
    """One piece of work with progress. Progress stays below 100 until it is truly done."""

    kind = models.CharField(max_length=32, help_text="backup, verify, restore, move, …")
    title = models.TextField(help_text='what it does, as a sentence part: "Back up home to far"')
    subject = models.TextField(blank=True, help_text="what it is about: vm:<uuid>, store:<id>")
    lock_key = models.CharField(max_length=128, blank=True)
    parent = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="children",
        help_text="the group of the jobs that one wish opened",
    )
    asked_by = models.CharField(max_length=150, blank=True)
    parameters = models.JSONField(default=dict)
    state = models.CharField(max_length=12, choices=State.choices, default=State.WAITING)
    progress = models.PositiveSmallIntegerField(default=0)
    phase = models.TextField(blank=True)
    done_bytes = models.BigIntegerField(default=0)
    total_bytes = models.BigIntegerField(default=0)
    bytes_per_second = models.FloatField(null=True, blank=True)
    cancel_asked = models.BooleanField(default=False)
    worker = models.CharField(max_length=64, blank=True, help_text="token of the claiming worker")
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    beat_at = models.DateTimeField(
        null=True, blank=True, help_text="running: the worker's last beat; waiting: last sent"
    )
    ended_at = models.DateTimeField(null=True, blank=True)
    sentence = models.TextField(blank=True, help_text="how it ended, for the user")
    detail = models.TextField(blank=True, help_text="for the log: detail or traceback")
    result = models.JSONField(null=True, blank=True)
    state_data = models.JSONField(
        default=dict, blank=True, help_text="what the job noted of itself"
    )

    class Meta:
        ordering = ("-created_at", "-pk")
        indexes = (models.Index(fields=("state", "beat_at")), models.Index(fields=("subject",)))
        constraints = (
            models.UniqueConstraint(
                fields=("lock_key",),
                condition=models.Q(state__in=[state.value for state in ACTIVE])
                & ~models.Q(lock_key=""),
                name="one_active_job_for_a_lock",
                violation_error_message="Another job already works on this.",
            ),
        )

    def __str__(self) -> str:
        return self.title

    @property
    def is_active(self) -> bool:
        return self.state in ACTIVE

    @property
    def is_final(self) -> bool:
        return self.state in FINAL

    def get_absolute_url(self) -> str:
        return reverse("job", args=[self.pk])


class JobLine(models.Model):
    """One line of a job's log, written as it happens."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="lines")
    at = models.DateTimeField(auto_now_add=True)
    text = models.TextField()

    class Meta:
        ordering = ("pk",)

    def __str__(self) -> str:
        return self.text


class Obligation(models.Model):
    """Something that a job owes a host: written before the step that would leave something behind
    there, gone when that is undone or the job no longer owes it. What it is: obligations.py."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="obligations")
    host = models.BigIntegerField(
        null=True, blank=True, help_text="the Host's key; empty for the panel's own machine"
    )
    kind = models.CharField(max_length=32)
    data = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)
    tried_at = models.DateTimeField(null=True, blank=True)
    tries = models.PositiveIntegerField(default=0)
    sentence = models.TextField(blank=True, help_text="what the last try found")
    paid_at = models.DateTimeField(
        null=True, blank=True, help_text="nothing is owed any more; the row goes with the job's end"
    )

    class Meta:
        ordering = ("pk",)
        indexes = (models.Index(fields=("kind", "paid_at")),)

    def __str__(self) -> str:
        return f"{self.kind} of job {self.job_id}"
