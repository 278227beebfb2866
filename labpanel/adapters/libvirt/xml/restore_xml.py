"""The domain XML of a generation, fitted to the host on which it is to live.

Only what must be is rewritten: name, UUID and MAC addresses of a copy, the disks' sources, and what
points at things of the old host.
"""

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from labpanel.adapters.answers import safe_xml
from labpanel.adapters.libvirt import disk_words
from labpanel.adapters.libvirt.xml.backup_xml import network_media, source_disks
from labpanel.lib.disks import SourceDisk

_DISKS = "devices/disk"


@dataclass(frozen=True, slots=True)
class Optional:
    """What the VM can do without: media that are files or devices of a host, and logs. What it
    cannot do without is move_xml.needs, the same list as a move's."""

    media: frozenset[str]
    logs: frozenset[str]


@dataclass(frozen=True, slots=True)
class NewIdentity:
    """Who the restored VM is. A copy gets MAC addresses of its own."""

    name: str
    uuid: str
    is_copy: bool


def optional(xml: str) -> Optional:
    root = safe_xml.parse(xml)
    logs = [element.get("file", "") for element in root.iterfind("devices/*/log")]
    return Optional(
        media=frozenset(_source_of(disk) for disk in root.iterfind(_DISKS) if _is_medium(disk)),
        logs=frozenset(filter(None, logs)),
    )


def _source_of(disk: Element) -> str:
    source = disk.find("source")
    return "" if source is None else source.get("file") or source.get("dev") or ""


def _is_medium(disk: Element) -> bool:
    return _is_drive(disk) and bool(_source_of(disk))


def _is_drive(disk: Element) -> bool:
    return disk.get("device") in {"cdrom", "floppy"}


def far_media(xml: str) -> tuple[str, ...]:
    """Media that are no file or device of a host, in words. Their drives come back empty: it
    is unknown whether the host can open them."""
    pools = safe_xml.parse(xml).iterfind(f"{_DISKS}[@type='volume']")
    volumes = [(disk_words.target(disk), disk.find("source")) for disk in pools if _is_drive(disk)]
    return (
        *network_media(xml),
        *(
            f"{target} (the volume {source.get('volume', '')} of the pool {source.get('pool', '')})"
            for target, source in volumes
            if source is not None
        ),
    )


def fitted(
    xml: str,
    identity: NewIdentity,
    images: Mapping[str, str],
    *,
    gone: Collection[str],
    formats: Mapping[str, str],
    nvram: str = "",
    boot: Mapping[str, str] = MappingProxyType({}),
    ciphered: Collection[str] = (),
) -> str:
    """The XML to define. `images` gives each data disk its new path, and those without one are left
    out: their old path may be another VM's by now. `formats` are what these images really are:
    QEMU would follow what a guest wrote into a raw one that is opened as qcow2. `gone` are media
    and log files that the host does not have; `nvram` is the new path of the UEFI variables, and
    without one libvirt makes them; `boot` those of a kernel, an initrd, a device tree. `ciphered`
    are disks whose images hold what their host's QEMU had encrypted; every other image is plain,
    whatever it was when it was backed up."""
    root = safe_xml.parse(xml)
    _leave_out(root, {disk.target for disk in _data_disks(xml)} - set(images))
    _set_text(root, "name", identity.name)
    _set_text(root, "uuid", identity.uuid)
    for entry in root.iterfind("sysinfo/system/entry[@name='uuid']"):
        entry.text = identity.uuid
    for disk in root.iterfind(_DISKS):
        _point(disk, images, formats, gone)
        if disk_words.target(disk) in set(images) - set(ciphered):
            _remove(disk, "encryption")
    for element in root.findall("os/nvram"):
        _remove(element, "source")  # a newer spelling of the path
        element.attrib.pop("type", None)
        element.text = nvram
    for name, path in boot.items():
        for element in root.findall(f"os/{name}"):
            element.text = path
    _drop_logs(root, gone)
    if identity.is_copy:
        _make_copy(root)
    return ElementTree.tostring(root, encoding="unicode")


def data_targets(xml: str) -> list[str]:
    """The disks of a definition that hold data."""
    return [disk.target for disk in _data_disks(xml)]


def _data_disks(xml: str) -> list[SourceDisk]:
    return [disk for disk in source_disks(xml) if disk.holds_data]


def _leave_out(root: Element, targets: Collection[str]) -> None:
    devices = root.find("devices")
    for disk in [] if devices is None else devices.findall("disk"):
        target = disk.find("target")
        if devices is not None and target is not None and target.get("dev") in targets:
            devices.remove(disk)


def _set_text(root: Element, name: str, text: str) -> None:
    element = root.find(name)
    if element is None:
        element = ElementTree.SubElement(root, name)
    element.text = text


def _point(
    disk: Element, images: Mapping[str, str], formats: Mapping[str, str], gone: Collection[str]
) -> None:
    target = disk.find("target")
    path = images.get(target.get("dev", "")) if target is not None else None
    source = disk.find("source")
    if path is None:
        far = disk.get("type") in {"network", "volume"}
        if source is not None and _is_drive(disk) and (far or _source_of(disk) in gone):
            disk.remove(source)  # an empty drive, as after ejecting
            disk.set("type", "file")  # one that says "network" must say where
        return
    disk.set("type", "file")
    if disk.get("device") == "lun":
        disk.set("device", "disk")  # only a block device passes SCSI commands on
    for name in ("rawio", "sgio"):
        disk.attrib.pop(name, None)
    for name in ("source", "backingStore", "mirror"):
        _remove(disk, name)
    disk.append(Element("source", file=path))
    driver = disk.find("driver")
    if driver is None:
        driver = ElementTree.SubElement(disk, "driver", name="qemu")
    assert target is not None, "a path was found by it"
    driver.set("type", formats[target.get("dev", "")])


def _remove(disk: Element, name: str) -> None:
    for child in disk.findall(name):
        disk.remove(child)


def encrypted(xml: str) -> frozenset[str]:
    """The disks of a definition of which QEMU had the key."""
    return frozenset(disk.target for disk in _data_disks(xml) if disk.encrypted)


def _drop_logs(root: Element, gone: Collection[str]) -> None:
    for device in root.iterfind("devices/*"):
        for log in device.findall("log"):
            if log.get("file", "") in gone:
                device.remove(log)


def _make_copy(root: Element) -> None:
    for name in ("genid", "title"):
        for element in root.findall(name):
            root.remove(element)
    for interface in root.iterfind("devices/interface"):
        mac = interface.find("mac")
        if mac is not None:
            mac.set("address", new_mac())
        target = interface.find("target")
        if target is not None:
            interface.remove(target)
    for device in root.iterfind("devices/*"):
        for log in device.findall("log"):
            device.remove(log)  # the original writes there: libvirt would refuse to start the copy
    for graphics in root.iterfind("devices/graphics"):
        if graphics.get("port") and graphics.get("autoport") != "yes":
            graphics.attrib.pop("port")
            graphics.set("autoport", "yes")
    for channel in root.iterfind("devices/channel[@type='unix']"):
        source = channel.find("source")
        if source is not None and channel.find("target[@type='virtio']") is not None:
            channel.remove(source)  # libvirt makes one under the copy's own name


def new_mac() -> str:
    """A fresh address with QEMU's prefix, 52:54:00."""
    return "52:54:00:" + ":".join(f"{byte:02x}" for byte in secrets.token_bytes(3))
