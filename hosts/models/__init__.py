"""What the panel knows of the lab: hosts, VMs, virtual disks, and what they lie on."""

from hosts.models.finding import Finding, Reading
from hosts.models.host import Host
from hosts.models.sample import TIERS, Sample, Sample1d, Sample1h, Sample5m, Sample10s, Subject
from hosts.models.storage import FileSystem, PhysicalDisk, folders_in_use
from hosts.models.vm import VM, VirtualDisk

__all__ = [
    "TIERS",
    "VM",
    "FileSystem",
    "Finding",
    "Host",
    "PhysicalDisk",
    "Reading",
    "Sample",
    "Sample1d",
    "Sample1h",
    "Sample5m",
    "Sample10s",
    "Subject",
    "VirtualDisk",
    "folders_in_use",
]
