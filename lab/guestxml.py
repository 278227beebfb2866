"""Domain XML of the practice guests."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

from lab.hostconf import SPACE

if TYPE_CHECKING:
    from lab.layout import Layout

IMAGES = "/srv/images"


@dataclass(frozen=True)
class Disk:
    """One virtual disk: target name, qcow2 or raw, image file on the host."""

    target: str
    driver: str
    file: str
    iothread: bool = False


@dataclass(frozen=True)
class Guest:
    """One practice guest; `octet` is the last part of its address and MAC."""

    name: str
    octet: int
    memory_mib: int
    disks: tuple[Disk, ...]
    starts: bool

    def address(self, layout: Layout) -> str:
        """The guest's IPv4 address, the same on every host."""
        return f"10.77.{layout.number}.{self.octet}"


GUESTS: tuple[Guest, ...] = (
    Guest(
        name="home",
        octet=11,
        memory_mib=160,
        disks=(Disk("vda", "qcow2", "home-vda.qcow2"), Disk("vdb", "qcow2", "home-vdb.qcow2")),
        starts=True,
    ),
    Guest(
        name="web",
        octet=12,
        memory_mib=160,
        disks=(Disk("vda", "qcow2", "web-vda.qcow2"),),
        starts=True,
    ),
    Guest(
        name="store",
        octet=13,
        memory_mib=160,
        disks=(Disk("vda", "raw", "store-vda.raw"), Disk("vdb", "qcow2", "store-vdb.qcow2")),
        starts=False,
    ),
)

DOMAIN = """\
<domain type='qemu'>
  <name>{name}</name>
  <uuid>{uuid}</uuid>
  <memory unit='MiB'>{memory}</memory>
  <vcpu>1</vcpu>
{iothreads}  <os><type arch='x86_64' machine='pc'>hvm</type><boot dev='hd'/></os>
  <features><acpi/><apic/></features>
  <cpu mode='custom' match='exact' check='none'><model fallback='forbid'>qemu64</model></cpu>
  <clock offset='utc'/>
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>restart</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>
{disks}{nic}    <serial type='pty'><log file={log} append='on'/><target port='0'/></serial>
    <console type='pty'><target type='serial' port='0'/></console>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    <graphics type='vnc'><listen type='socket'/></graphics>
    <video><model type='vga' vram='16384'/></video>
    <memballoon model='virtio'><stats period='10'/></memballoon>
  </devices>
</domain>
"""

IOTHREADS = "  <iothreads>1</iothreads>\n"

NIC = """\
    <interface type='bridge'>
      <mac address='{mac}'/>
      <source bridge='br0'/>
      <model type='virtio'/>
    </interface>
"""

DISK = """\
    <disk type='file' device='disk'>
      <driver name='qemu' type='{driver}'{iothread}/>
      <source file={file}/>
      <target dev='{target}' bus='virtio'/>
    </disk>
"""


def mac(layout: Layout, octet: int) -> str:
    """MAC that tells the guest its address: 52:54:00:4d:N:X is 10.77.N.X."""
    return f"52:54:00:4d:{layout.number:02x}:{octet:02x}"


def disk_xml(disk: Disk) -> str:
    """The `<disk>` element, as `virsh attach-device` takes it too."""
    return DISK.format(
        driver=disk.driver,
        iothread=" iothread='1'" if disk.iothread else "",
        file=quoteattr(path_of(disk)),
        target=disk.target,
    )


def path_of(disk: Disk) -> str:
    """The image file's path on the host."""
    return f"{IMAGES}/{disk.file}"


def domain_xml(layout: Layout, guest: Guest) -> str:
    """The whole domain, ready for `virsh define`."""
    # By the lab's number, as addresses are: a saved guest goes on in any lab with that number.
    identity = uuid.uuid5(SPACE, f"{layout.number}/guest/{guest.name}")
    nic = NIC.format(mac=mac(layout, guest.octet)) if guest.octet else ""
    return DOMAIN.format(
        name=escape(guest.name),
        uuid=identity,
        memory=guest.memory_mib,
        iothreads=IOTHREADS if any(disk.iothread for disk in guest.disks) else "",
        disks="".join(disk_xml(disk) for disk in guest.disks),
        nic=nic,
        log=quoteattr(f"/var/log/libvirt/qemu/{identity}-console.log"),
    )
