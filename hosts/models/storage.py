"""The physical side: file systems and the drives below them."""

from collections.abc import Callable, Iterable

from django.db import models

from hosts.models.host import Host
from hosts.models.last_seen import LastSeen

# Folders of a host that apps above this one use: each app adds its own question. The file systems
# below them count as those of images do.
folders_in_use: list[Callable[[Host], Iterable[str]]] = []


class PhysicalDisk(LastSeen):
    """A drive of a host, known by WWN and serial number; by its place only where it has neither, or
    shares them with another (labpanel.lib.drive_names)."""

    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="physical_disks")
    key = models.CharField(
        max_length=128, help_text="given once: WWN, else model and serial, else the path"
    )
    device = models.CharField(max_length=64, help_text="/dev/sda as of the last look")
    interface = models.CharField(max_length=32, blank=True, help_text="smartctl's -d type")
    model = models.CharField(max_length=128, blank=True)
    serial = models.CharField(max_length=128, blank=True)
    wwn = models.CharField(max_length=128, blank=True)
    size_bytes = models.BigIntegerField(null=True, blank=True)
    rotational = models.BooleanField(null=True, blank=True)
    only_smart = models.BooleanField(
        default=False, help_text="smartctl alone sees it: the member of a RAID controller"
    )

    class Meta:
        ordering = ("host", "device")
        constraints = (
            models.UniqueConstraint(
                fields=("host", "key"),
                name="one_drive_for_a_key",
                violation_error_message="This drive is already known on this host.",
            ),
        )

    def __str__(self) -> str:
        return f"{self.device} of {self.host.name}"


class FileSystem(LastSeen):
    """A mount of a host that holds data (pseudo file systems are left out)."""

    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="file_systems")
    mount_point = models.TextField()
    other_mount_points = models.JSONField(
        default=list, blank=True, help_text="bind mounts and subvolumes of the same"
    )
    source = models.TextField(help_text="/dev/sda1, /dev/mapper/…, a pool's name")
    fstype = models.CharField(max_length=32)
    options = models.TextField(blank=True)
    size_bytes = models.BigIntegerField(null=True, blank=True)
    used_bytes = models.BigIntegerField(null=True, blank=True)
    available_bytes = models.BigIntegerField(null=True, blank=True)
    block_chain = models.JSONField(
        default=list, blank=True, help_text='[{"name", "type"}], file system first, drive last'
    )
    drives = models.ManyToManyField(PhysicalDisk, related_name="file_systems", blank=True)

    class Meta:
        ordering = ("host", "mount_point")
        constraints = (
            models.UniqueConstraint(
                fields=("host", "mount_point"),
                name="one_file_system_for_a_mount_point",
                violation_error_message="This mount point is already known on this host.",
            ),
        )

    def __str__(self) -> str:
        return f"{self.mount_point} on {self.host.name}"
