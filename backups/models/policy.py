"""What the owner wants: policies, exclusions, holds."""

from django.db import models

from backups.models.store import Store
from hosts.models import VM
from labpanel.jobs.models import Job


class Policy(models.Model):
    """When, to which stores, and how many to keep. The default one takes every VM that no other
    policy names, new ones included."""

    name = models.CharField(max_length=63, unique=True)
    is_default = models.BooleanField(default=False)
    enabled = models.BooleanField(default=True)
    cron = models.CharField(max_length=100, help_text="five fields, as in crontab(5)")
    timezone = models.CharField(max_length=63, default="UTC", help_text="an IANA name")
    places = models.JSONField(
        default=list,
        help_text='"far" (away from its host and drive), "near" (its host), or names of stores',
    )
    keep_last = models.PositiveSmallIntegerField(default=3)
    keep_daily = models.PositiveSmallIntegerField(default=0)
    keep_weekly = models.PositiveSmallIntegerField(default=0)
    keep_monthly = models.PositiveSmallIntegerField(default=0)
    bytes_per_second = models.BigIntegerField(null=True, blank=True, help_text="None: no cap")
    freeze = models.BooleanField(default=True, help_text="ask the guest's agent to freeze")
    verify_days = models.PositiveSmallIntegerField(
        default=7, help_text="content read at least so often"
    )
    rehearse_days = models.PositiveSmallIntegerField(default=30, help_text="0: never booted")
    deep_days = models.PositiveSmallIntegerField(
        default=14, help_text="the bitmap ignored so often"
    )
    window_start = models.TimeField(null=True, blank=True, help_text="verify and rehearse from")
    window_end = models.TimeField(null=True, blank=True, help_text="until; None: at any time")
    since = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("name",)
        constraints = (
            models.UniqueConstraint(
                fields=("is_default",),
                condition=models.Q(is_default=True),
                name="one_default_policy",
                violation_error_message="There already is a default policy.",
            ),
        )

    def __str__(self) -> str:
        return self.name


class PolicyMember(models.Model):
    """A VM that a policy names. Without one the default policy takes it."""

    policy = models.ForeignKey(Policy, on_delete=models.CASCADE, related_name="members")
    vm = models.OneToOneField(VM, on_delete=models.CASCADE, related_name="policy_member")

    def __str__(self) -> str:
        return f"{self.vm.name}: {self.policy.name}"


class PolicyRun(models.Model):
    """One due backup of one VM to one store: asked for once, however often beat looks."""

    policy = models.ForeignKey(Policy, on_delete=models.CASCADE, related_name="runs")
    vm = models.ForeignKey(VM, on_delete=models.CASCADE, related_name="policy_runs")
    store = models.ForeignKey(Store, on_delete=models.CASCADE, related_name="policy_runs")
    due_at = models.DateTimeField()
    tries = models.PositiveSmallIntegerField(default=0)
    job = models.ForeignKey(Job, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        ordering = ("-due_at",)
        constraints = (
            models.UniqueConstraint(
                fields=("policy", "vm", "store", "due_at"), name="one_run_of_a_due_time"
            ),
        )

    def __str__(self) -> str:
        return f"{self.vm.name} to {self.store.name}, due {self.due_at:%Y-%m-%d %H:%M}"


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


class Hold(models.Model):
    """Nothing of this VM is pruned while its source is suspect."""

    vm = models.ForeignKey(VM, on_delete=models.CASCADE, related_name="holds")
    reason = models.TextField()
    by = models.CharField(max_length=150)
    since = models.DateTimeField(auto_now_add=True)
    released_at = models.DateTimeField(null=True, blank=True)
    released_by = models.CharField(max_length=150, blank=True)

    class Meta:
        ordering = ("-since",)
        constraints = (
            models.UniqueConstraint(
                fields=("vm",),
                condition=models.Q(released_at=None),
                name="one_hold_of_a_vm",
                violation_error_message="This VM is already held.",
            ),
        )

    def __str__(self) -> str:
        return f"{self.vm.name}: {self.reason}"
