"""What a made-up machine says of itself, in the words of onhost/looks/host_facts.py."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from labpanel.adapters.looks import host_facts
from labpanel.adapters.looks.host_facts import HostFacts
from labpanel.adapters.ssh.machine import Machine

if TYPE_CHECKING:
    from labpanel.adapters.errors import AdapterError


def said(**changes: Any) -> dict[str, Any]:
    """One machine: a drive sda with / on it, and images on LVM over the drive sdb."""
    everything: dict[str, Any] = {
        "kernel": "6.12.1",
        "hostname": "box",
        "boot_id": "b1",
        "machine_id": "",
        "board_id": "",
        "network_id": "",
        "cpus": 8,
        "memory_bytes": 2**34,
        "mounts": [mount("/", "sda1", "sda"), mount("/srv/images", "dm-0", "sdb1", "sdb")],
        "drives": [drive("sda"), drive("sdb")],
        "tools": tools(),
        "real_paths": {},
    }
    return everything | changes


def mount(point: str, *names: str, **changes: Any) -> dict[str, Any]:
    """`names`: the devices below, the drive last."""
    kinds = {"dm-0": "lvm", "sda": "drive", "sdb": "drive"}
    made: dict[str, Any] = {
        "mount_point": point,
        "also_at": [],
        "source": f"/dev/{names[0]}",
        "fstype": "ext4",
        "options": "rw,relatime",
        "space": {"size": 2**40, "used": 2**39, "available": 2**39},
        "below": [
            {"name": name, "type": kinds.get(name, "partition"), "label": ""} for name in names
        ],
    }
    return made | changes


def drive(name: str, **changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "name": name,
        "size": 2**41,
        "rotational": True,
        "model": "Example 2T",
        "serial": f"S-{name}",
        "wwn": f"0x5000{name}",
    }
    return made | changes


def tools(**changes: Any) -> dict[str, Any]:
    """Everything is there."""
    made: dict[str, Any] = {
        "libvirt_daemon": "libvirtd",
        "libvirt_socket": "/run/libvirt/libvirt-sock",
        "libvirt_allowed": True,
        "qemu-img": "/usr/bin/qemu-img",
        "qemu-nbd": "/usr/bin/qemu-nbd",
        "virsh": "/usr/bin/virsh",
        "smartctl": "/usr/sbin/smartctl",
        "nbd": True,
        "guestfs": True,
        "user": "root",
    }
    return made | changes


class FakeLook:
    """Stands for `host_facts.look`. `fails` is raised instead of an answer."""

    def __init__(self) -> None:
        self.said = said()
        self.fails: AdapterError | None = None
        self.images: list[Sequence[str]] = []

    def __call__(self, machine: Machine, images: Sequence[str] = ()) -> HostFacts:
        self.images.append(images)
        if self.fails is not None:
            raise self.fails
        return host_facts.read(self.said, machine.endpoint.name)
