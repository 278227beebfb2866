"""VMs that run from a generation while their blocks are pulled in."""

from django.db import models

from backups.models.generation import Generation
from hosts.models import Host
from labpanel.jobs.models import Job


class InstantRun(models.Model):
    """A VM running on overlays over a generation. The row lives until every block is local."""

    vm_uuid = models.UUIDField(unique=True)
    vm_name = models.CharField(max_length=255)
    host = models.ForeignKey(Host, on_delete=models.PROTECT, related_name="instant_runs")
    generation = models.ForeignKey(
        Generation, on_delete=models.PROTECT, related_name="instant_runs"
    )
    job = models.ForeignKey(Job, null=True, on_delete=models.SET_NULL, related_name="+")
    began_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    links = models.JSONField(
        default=list, help_text="per disk, what must be kept alive until its blocks are local"
    )
    error = models.TextField(blank=True)

    class Meta:
        ordering = ("-began_at",)

    def __str__(self) -> str:
        return f"{self.vm_name} on {self.host.name}"
