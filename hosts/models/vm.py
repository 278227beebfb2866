"""Libvirt domains and their block devices, as last seen. Nothing is forgotten when it vanishes."""

from django.db import models
from django.urls import reverse

from hosts.models.host import Host
from hosts.models.last_seen import SeenSince


class VM(SeenSince):
    """A libvirt domain, known by UUID, never by name."""

    class State(models.TextChoices):
        """virDomainState's names (libvirt-domain.h)."""

        RUNNING = "running"
        BLOCKED = "blocked"
        PAUSED = "paused"
        SHUTDOWN = "in shutdown"
        SHUTOFF = "shut off"
        CRASHED = "crashed"
        SUSPENDED = "suspended by guest"
        NOSTATE = "no state"

    ON = (State.RUNNING, State.BLOCKED, State.PAUSED, State.SHUTDOWN, State.SUSPENDED)

    uuid = models.UUIDField(unique=True)
    name = models.CharField(max_length=255)
    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="vms")
    state = models.CharField(max_length=24, choices=State.choices, default=State.NOSTATE)
    state_reason = models.CharField(max_length=32, blank=True, help_text="libvirt's, of the state")
    state_since = models.DateTimeField(
        null=True, blank=True, help_text="when this state and its reason were first seen"
    )
    run_number = models.PositiveIntegerField(
        null=True, blank=True, help_text="libvirt's number of the run; another start has another"
    )
    ran_in_boot = models.CharField(
        max_length=40, blank=True, help_text="the host's boot in which it was on when last seen"
    )
    restarts = models.JSONField(
        default=list, blank=True, help_text="times of the last starts that the panel did not ask"
    )
    persistent = models.BooleanField(default=True)
    autostart = models.BooleanField(default=False)
    vcpus = models.PositiveIntegerField(default=1)
    memory_bytes = models.BigIntegerField(default=0)
    xml = models.TextField(blank=True, help_text="live XML if it runs, else the persistent one")
    inactive_xml = models.TextField(blank=True)

    class Meta:
        ordering = ("name", "uuid")

    def __str__(self) -> str:
        return self.name

    @property
    def is_on(self) -> bool:
        return self.state in self.ON

    def get_absolute_url(self) -> str:
        return reverse("vm", args=[self.uuid])


class VirtualDisk(SeenSince):
    """A VM's block device. CD-ROM drives and floppies are kept too, told apart by `device`."""

    vm = models.ForeignKey(VM, on_delete=models.CASCADE, related_name="disks")
    target = models.CharField(max_length=32, help_text="vda, sdb, …")
    device = models.CharField(max_length=16, default="disk", help_text="disk, cdrom, floppy, lun")
    kind = models.CharField(max_length=16, default="file", help_text="file, block, network, …")
    source = models.TextField(blank=True)
    format = models.CharField(max_length=16, blank=True)
    bus = models.CharField(max_length=16, blank=True)
    serial = models.CharField(max_length=64, blank=True)
    capacity_bytes = models.BigIntegerField(null=True, blank=True)
    allocation_bytes = models.BigIntegerField(null=True, blank=True)
    backing_chain = models.JSONField(default=list, blank=True, help_text="paths below the top")
    inode = models.CharField(
        max_length=20, blank=True, help_text="of the image's file; empty: not looked at"
    )
    iothread = models.BooleanField(default=False)
    shareable = models.BooleanField(default=False)
    read_only = models.BooleanField(default=False)
    transient = models.BooleanField(default=False)
    encrypted = models.BooleanField(default=False, help_text="QEMU has its key")
    sliced = models.BooleanField(default=False, help_text="a part of a larger file")
    live = models.BooleanField(default=True, help_text="in the live XML")
    persistent = models.BooleanField(default=True, help_text="in the persistent XML")
    file_system = models.ForeignKey(
        "hosts.FileSystem", null=True, blank=True, on_delete=models.SET_NULL, related_name="images"
    )

    class Meta:
        ordering = ("vm", "target")
        constraints = (
            models.UniqueConstraint(
                fields=("vm", "target"),
                name="one_disk_for_a_target",
                violation_error_message="A VM has one virtual disk for each target.",
            ),
        )

    def __str__(self) -> str:
        return f"{self.vm.name} {self.target}"

    @property
    def holds_data(self) -> bool:
        """A disk that a backup must hold: not a medium that was only inserted."""
        return self.device in {"disk", "lun"} and not self.read_only
