"""The physical side: file systems and the drives below them."""

from django.db import models

from hosts.models.host import Host


class PhysicalDisk(models.Model):
    """A drive of a host, known by serial number or WWN, never by `sda`."""

    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="physical_disks")
    key = models.CharField(max_length=128, help_text="WWN, else model and serial, else the path")
    device = models.CharField(max_length=64, help_text="/dev/sda as of the last look")
    interface = models.CharField(max_length=32, blank=True, help_text="smartctl's -d type")
    model = models.CharField(max_length=128, blank=True)
    serial = models.CharField(max_length=128, blank=True)
    size_bytes = models.BigIntegerField(null=True, blank=True)
    rotational = models.BooleanField(null=True, blank=True)
    only_smart = models.BooleanField(
        default=False, help_text="smartctl alone sees it: the member of a RAID controller"
    )
    seen_at = models.DateTimeField()
    missing_since = models.DateTimeField(null=True, blank=True)

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


class FileSystem(models.Model):
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
    seen_at = models.DateTimeField()
    missing_since = models.DateTimeField(null=True, blank=True)

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
