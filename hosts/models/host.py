"""A physical machine with libvirt."""

from django.db import models
from django.urls import reverse

from labpanel.lib.shapes import Endpoint


class Host(models.Model):
    """One machine. Whether it is well is derived from these facts and the time, never stored.

    Two doors are kept apart: `seen_at` is the last answer over SSH, `libvirt_seen_at` the last of
    its libvirt. A host may answer at one and hang at the other.
    """

    name = models.SlugField(max_length=63, unique=True)
    target = models.CharField(max_length=255, unique=True, help_text="user@address[:port] or local")
    host_key = models.TextField(blank=True, help_text="confirmed SSH host key, type and base64")
    fingerprint = models.CharField(max_length=100, blank=True)
    libvirt_socket = models.CharField(max_length=255, default="/run/libvirt/libvirt-sock")
    added_at = models.DateTimeField(auto_now_add=True)

    seen_at = models.DateTimeField(null=True, blank=True)
    failing_since = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True, help_text="the sentence of the last failure over SSH")
    libvirt_seen_at = models.DateTimeField(null=True, blank=True)
    libvirt_failing_since = models.DateTimeField(null=True, blank=True)
    libvirt_error = models.TextField(blank=True)

    libvirt_version = models.PositiveIntegerField(null=True, blank=True)
    qemu_version = models.PositiveIntegerField(null=True, blank=True)
    kernel = models.CharField(max_length=120, blank=True)
    cpu_count = models.PositiveIntegerField(null=True, blank=True)
    memory_bytes = models.BigIntegerField(null=True, blank=True)
    boot_id = models.CharField(max_length=40, blank=True)
    real_paths = models.JSONField(
        default=dict, blank=True, help_text="paths of images that lead through links → real ones"
    )
    missing = models.JSONField(
        default=list, blank=True, help_text='[{"what", "why", "command"}] still to be installed'
    )

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("host", args=[self.name])

    def endpoint(self) -> Endpoint:
        """What an adapter needs to reach it."""
        return Endpoint(
            name=self.name,
            target=self.target,
            host_key=self.host_key,
            libvirt_socket=self.libvirt_socket,
        )
