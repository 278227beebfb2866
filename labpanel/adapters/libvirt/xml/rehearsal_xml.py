"""The domain XML of a generation, made fit to be booted where it can touch nothing.

What is kept is a list of what is known to be harmless; everything else goes, so that what was not
thought of goes too: network cards, passed-through devices, shared folders and memory, media, logs,
command lines for QEMU, security labels (format: libvirt.org/formatdomain).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from labpanel.adapters.answers import safe_xml
from labpanel.adapters.libvirt.xml.beside_xml import beside

MARK = "https://labpanel.org/rehearsal"
_TOP = ("os", "features", "cpu", "clock", "pm", "sysinfo")
_OS = ("type", "loader", "cmdline", "boot", "bootmenu", "bios", "smbios", "firmware")
_DEVICES = ("controller", "hub", "memballoon")
_DISK = ("target", "address", "serial", "wwn", "vendor", "product", "boot", "blockio", "geometry")
_FIRMWARE_PC = ("x86_64", "i686")
# Left out, in words; what is not here is too small to speak of.
_WORDS = {
    "interface": ("network card", "network cards"),
    "hostdev": ("device of its host", "devices of its host"),
    "filesystem": ("folder of its host", "folders of its host"),
    "shmem": ("shared memory", "shared memories"),
    "redirdev": ("redirected USB device", "redirected USB devices"),
    "tpm": ("TPM", "TPMs"),
    "vsock": ("socket to its host", "sockets to its host"),
    "smartcard": ("smart card", "smart cards"),
}


@dataclass(frozen=True, slots=True)
class OverlayImage:
    """One disk of the rehearsal: an overlay of ours over an NBD export on a unix socket."""

    target: str
    overlay: str
    socket: str
    export: str


@dataclass(frozen=True, slots=True)
class RehearsalDomain:
    """What the rehearsal host gives. `console` is the file that the serial port writes to, `nvram`
    the one for the UEFI variables, if the VM has any: a copy of the generation's, or libvirt makes
    it from its template. `boot` are copies of the kernel and what else a direct boot starts, by
    their elements of <os>."""

    name: str
    uuid: str
    job: int
    memory_bytes: int
    vcpus: int
    kvm: bool
    console: str
    nvram: str
    boot: Mapping[str, str] = field(default_factory=dict)


def data_disks(xml: str) -> tuple[str, ...]:
    """Targets of the disks that hold data, as the VM had them at the backup."""
    disks = [disk for disk in safe_xml.parse(xml).iterfind("devices/disk") if _holds_data(disk)]
    return tuple(_target(disk) for disk in disks)


def has_agent(xml: str) -> bool:
    """Whether the VM had the port of a guest agent."""
    return (
        safe_xml.parse(xml).find("devices/channel/target[@name='org.qemu.guest_agent.0']")
        is not None
    )


def wants_kvm(xml: str) -> bool:
    """Whether the VM ran with the help of its host's CPU; without it all takes much longer."""
    return safe_xml.parse(xml).get("type") == "kvm"


def host_files(xml: str) -> frozenset[str]:
    """Files of the host that must be there: the firmware and the template of its variables."""
    root = safe_xml.parse(xml)
    nvram = root.find("os/nvram")
    template = "" if nvram is None else nvram.get("template", "")
    return frozenset(filter(None, (root.findtext("os/loader", ""), template)))


def boot_files(xml: str) -> dict[str, str]:
    """Files of its own host that the VM starts, by their element of <os>."""
    return beside(xml).boot_files


def left_out(xml: str, kept: Sequence[str]) -> tuple[str, ...]:
    """What the rehearsal does without, in words: `("1 network card", "the disk vdz")`."""
    devices = safe_xml.parse(xml).find("devices")
    if devices is None:
        return ()
    said = []
    for tag, (one, many) in _WORDS.items():
        count = len(devices.findall(tag))
        if count:
            said.append(f"{count} {one if count == 1 else many}")
    disks = [_target(disk) for disk in devices.findall("disk") if not _is_drive(disk)]
    return (*said, *(f"the disk {target}" for target in disks if target not in kept))


def rehearsal(xml: str, domain: RehearsalDomain, images: Sequence[OverlayImage]) -> str:
    """The transient domain, yet without the mark that it is one (`marked`). Disks that `images`
    does not name are left out."""
    old = safe_xml.parse(xml)
    root = Element("domain", type=_type(old, domain))
    _say(root, "name", domain.name)
    _say(root, "uuid", domain.uuid)
    _say(root, "memory", str(domain.memory_bytes >> 10), unit="KiB")
    _say(root, "vcpu", str(domain.vcpus))
    for name in _TOP:
        root.extend(old.findall(name))
    _fit_system(root, domain)
    for event in ("on_poweroff", "on_crash"):
        _say(root, event, "destroy")
    _say(root, "on_reboot", "restart")
    root.append(_devices(old, domain, {image.target: image for image in images}))
    return ElementTree.tostring(root, encoding="unicode")


def ours(domain: RehearsalDomain, images: Sequence[OverlayImage]) -> list[str]:
    """Every file and socket that `rehearsal` itself puts into the domain."""
    paths = [path for image in images for path in (image.overlay, image.socket)]
    return [*paths, domain.console, domain.nvram, *domain.boot.values()]


def marked(xml: str, domain: RehearsalDomain) -> str:
    """The domain with the mark by which it is known as a rehearsal (`is_rehearsal`)."""
    root = safe_xml.parse(xml)
    metadata = ElementTree.SubElement(root, "metadata")
    ElementTree.SubElement(metadata, f"{{{MARK}}}rehearsal", job=str(domain.job))
    return ElementTree.tostring(root, encoding="unicode")


def _type(old: Element, domain: RehearsalDomain) -> str:
    return "kvm" if domain.kvm and old.get("type") == "kvm" else "qemu"


def _fit_system(root: Element, domain: RehearsalDomain) -> None:
    """Firmware, CPU and identity; nothing in them may name a file of the host but the firmware."""
    system = root.find("os")
    if system is not None:
        _give_variables(system, domain)
    for cpu in root.findall("cpu"):
        if root.get("type") == "qemu" and cpu.get("mode") != "custom":
            root.remove(cpu)  # what the host's CPU can do is not what the emulated one can
        for name in ("topology", "numa", "cache"):
            for element in cpu.findall(name):
                cpu.remove(element)  # they count CPUs and memory that the rehearsal has less of
    for info in root.findall("sysinfo"):
        if info.get("type") != "smbios":
            root.remove(info)  # fwcfg reads files
        for entry in info.iterfind("system/entry[@name='uuid']"):
            entry.text = domain.uuid


def _give_variables(system: Element, domain: RehearsalDomain) -> None:
    """Left to itself libvirt would make a file for them that stays when the domain is gone."""
    before = system.find("nvram")
    uefi = system.get("firmware") == "efi" or system.find("loader[@type='pflash']") is not None
    template = "" if before is None else before.get("template", "")
    _keep_only(system, _OS)
    for name, path in domain.boot.items():
        _say(system, name, path)
    if uefi or before is not None:
        _say(system, "nvram", domain.nvram, **({"template": template} if template else {}))


def _devices(old: Element, domain: RehearsalDomain, images: Mapping[str, OverlayImage]) -> Element:
    devices = Element("devices")
    before = old.find("devices")
    for device in before if before is not None else ():
        if device.tag == "disk" and _target(device) in images:
            devices.append(_disk(device, images[_target(device)]))
        elif device.tag in _DEVICES:
            devices.append(_plain(device))
    if before is not None and before.find("rng") is not None:
        rng = ElementTree.SubElement(devices, "rng", model="virtio")
        _say(rng, "backend", "/dev/urandom", model="random")
    serial = ElementTree.SubElement(devices, "serial", type="file")
    ElementTree.SubElement(serial, "source", path=domain.console)
    ElementTree.SubElement(serial, "target", port="0")
    channel = ElementTree.SubElement(devices, "channel", type="unix")
    ElementTree.SubElement(channel, "target", type="virtio", name="org.qemu.guest_agent.0")
    kind = old.find("os/type")
    plain = kind is None or kind.get("arch", "x86_64") in _FIRMWARE_PC
    video = ElementTree.SubElement(devices, "video")
    ElementTree.SubElement(video, "model", type="vga" if plain else "virtio")
    return devices


def _plain(device: Element) -> Element:
    """Without the name that libvirt gave it, and without an I/O thread that is not there."""
    for name in ("alias", "driver"):
        for element in device.findall(name):
            device.remove(element)
    return device


def _disk(old: Element, image: OverlayImage) -> Element:
    disk = Element("disk", type="file", device="disk")
    # The overlay is disposable, so no flush is needed (cache=unsafe).
    ElementTree.SubElement(disk, "driver", name="qemu", type="qcow2", cache="unsafe")
    ElementTree.SubElement(disk, "source", file=image.overlay)
    below = ElementTree.SubElement(disk, "backingStore", type="network")
    ElementTree.SubElement(below, "format", type="raw")
    source = ElementTree.SubElement(below, "source", protocol="nbd", name=image.export)
    ElementTree.SubElement(source, "host", transport="unix", socket=image.socket)
    ElementTree.SubElement(below, "backingStore")
    disk.extend(element for name in _DISK for element in old.findall(name))
    if old.find("serial") is None:
        _say(disk, "serial", serial_of(image.target))
    return disk


def serial_of(target: str) -> str:
    """The serial number that a disk without one has while it is rehearsed: by it the guest's
    device is known again (20 characters are what virtio carries)."""
    return f"labpanel-{target}"[:20]


def serials(xml: str) -> dict[str, str]:
    """Serial number of each data disk in its rehearsal, by target."""
    disks = [disk for disk in safe_xml.parse(xml).iterfind("devices/disk") if _holds_data(disk)]
    return {_target(disk): disk.findtext("serial") or serial_of(_target(disk)) for disk in disks}


def is_rehearsal(xml: str) -> bool:
    """Whether a domain is one that a rehearsal made: it is not a VM of the owner's."""
    return MARK in xml and safe_xml.parse(xml).find(f"metadata/{{{MARK}}}rehearsal") is not None


def _keep_only(element: Element, names: Sequence[str]) -> None:
    for child in list(element):
        if child.tag not in names:
            element.remove(child)


def _say(parent: Element, name: str, text: str, **attributes: str) -> None:
    ElementTree.SubElement(parent, name, attributes).text = text


def _holds_data(disk: Element) -> bool:
    """One that is only read is in no copy, so nothing of it is missed."""
    return not _is_drive(disk) and disk.find("readonly") is None


def _is_drive(disk: Element) -> bool:
    return disk.get("device", "disk") not in {"disk", "lun"}


def _target(disk: Element) -> str:
    target = disk.find("target")
    return "" if target is None else target.get("dev", "")
