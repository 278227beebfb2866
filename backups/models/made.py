"""VMs that the panel itself put on a host, and what it made for them."""

from django.db import models

from hosts.models import Host
from labpanel.jobs.models import Job


class MadeVM(models.Model):
    """A VM that a restore of the panel's defined on a host. The proof that it may be removed again:
    of what has no such row the panel never removes anything."""

    class Way(models.TextChoices):
        RESTORE = "restore"
        INSTANT = "instant"
        MOVE = "move", "moved since it was made"

    vm_uuid = models.UUIDField()
    vm_name = models.CharField(max_length=255)
    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="made_vms")
    way = models.CharField(max_length=16, choices=Way.choices)
    is_copy = models.BooleanField(help_text="a trial, beside the VM of the copy")
    generation = models.CharField(max_length=64, blank=True, help_text="the copy it came from")
    job = models.ForeignKey(Job, null=True, on_delete=models.SET_NULL, related_name="+")
    made_at = models.DateTimeField(auto_now_add=True)
    files = models.JSONField(default=list, help_text="lib/made.py: path, inode, mark of each")

    class Meta:
        ordering = ("-made_at",)
        constraints = (
            models.UniqueConstraint(
                fields=("vm_uuid", "host"),
                name="one_made_vm_on_a_host",
                violation_error_message="This VM is already known as one that the panel made.",
            ),
        )

    def __str__(self) -> str:
        return f"{self.vm_name} on {self.host.name}"
