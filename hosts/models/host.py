"""A physical machine with libvirt."""

from django.db import models
from django.urls import reverse

from labpanel.lib.identity import Identity
from labpanel.lib.shapes import Endpoint, LibvirtSocket


class Host(models.Model):
    """One machine. Whether it is well is derived from these facts and the time, never stored.

    Two doors are kept apart: `seen_at` is the last answer over SSH, `libvirt_seen_at` the last of
    its libvirt. A host may answer at one and hang at the other.
    """

    name = models.SlugField(max_length=63, unique=True)
    target = models.CharField(max_length=255, unique=True, help_text="user@address[:port] or local")
    host_key = models.TextField(blank=True, help_text="confirmed SSH host key, type and base64")
    fingerprint = models.CharField(max_length=100, blank=True)
    libvirt_socket = models.CharField(
        max_length=255,
        choices=[(place.value, place.name) for place in LibvirtSocket],
        default=LibvirtSocket.LIBVIRTD.value,
    )
    added_at = models.DateTimeField(auto_now_add=True)

    seen_at = models.DateTimeField(null=True, blank=True)
    failing_since = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True, help_text="the sentence of the last failure over SSH")
    refused = models.BooleanField(
        default=False, help_text="the last failure was a refusal, not silence"
    )
    libvirt_seen_at = models.DateTimeField(null=True, blank=True)
    libvirt_failing_since = models.DateTimeField(null=True, blank=True)
    libvirt_error = models.TextField(blank=True)
    libvirt_refused = models.BooleanField(default=False, help_text="likewise, of libvirt")

    libvirt_version = models.PositiveIntegerField(null=True, blank=True)
    qemu_version = models.PositiveIntegerField(null=True, blank=True)
    kernel = models.CharField(max_length=120, blank=True)
    cpu_count = models.PositiveIntegerField(null=True, blank=True)
    memory_bytes = models.BigIntegerField(null=True, blank=True)
    boot_id = models.CharField(max_length=40, blank=True)
    machine_id = models.CharField(max_length=32, blank=True, help_text="hash of the system's id")
    board_id = models.CharField(max_length=32, blank=True, help_text="hash of the board's UUID")
    network_id = models.CharField(
        max_length=32, blank=True, help_text="hash of its network stack since it was started"
    )
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

    @property
    def identity(self) -> Identity:
        return Identity(self.machine_id, self.board_id, self.network_id)

    def endpoint(self) -> Endpoint:
        """What an adapter needs to reach it."""
        return Endpoint(
            name=self.name,
            target=self.target,
            host_key=self.host_key,
            libvirt_socket=LibvirtSocket.known(self.libvirt_socket) or LibvirtSocket.LIBVIRTD,
        )
