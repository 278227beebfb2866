"""The domain XML of a generation, fitted to the host on which it is to live.

Only what must be is rewritten: name, UUID and MAC addresses of a copy, the disks' sources, and what
points at things of the old host.
"""

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from labpanel.adapters.backup_xml import source_disks
from labpanel.lib.disks import SourceDisk

_DISKS = "devices/disk"


@dataclass(frozen=True, slots=True)
class Needs:
    """What the target host must have: virtual networks, bridges, files (emulator, firmware)."""

    networks: frozenset[str]
    bridges: frozenset[str]
    files: frozenset[str]
    media: frozenset[str]
    logs: frozenset[str]


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the restored VM is. A copy gets MAC addresses of its own."""

    name: str
    uuid: str
    is_copy: bool


def needs(xml: str) -> Needs:
    root = _parsed(xml)
    sources = list(root.iterfind("devices/interface/source"))
    files = [root.findtext("devices/emulator", ""), root.findtext("os/loader", "")]
    nvram = root.find("os/nvram")
    if nvram is not None:
        files.append(nvram.get("template", ""))
    logs = [element.get("file", "") for element in root.iterfind("devices/*/log")]
    return Needs(
        networks=_named(sources, "network"),
        bridges=_named(sources, "bridge"),
        files=frozenset(filter(None, files)),
        media=frozenset(_source_of(disk) for disk in root.iterfind(_DISKS) if _is_medium(disk)),
        logs=frozenset(filter(None, logs)),
    )


def _named(sources: Collection[Element], attribute: str) -> frozenset[str]:
    return frozenset(name for source in sources if (name := source.get(attribute)))


def _source_of(disk: Element) -> str:
    source = disk.find("source")
    return "" if source is None else source.get("file") or source.get("dev") or ""


def _is_medium(disk: Element) -> bool:
    return disk.get("device") in {"cdrom", "floppy"} and bool(_source_of(disk))


def fitted(
    xml: str,
    identity: Identity,
    images: Mapping[str, str],
    *,
    gone: Collection[str],
    nvram: str = "",
) -> str:
    """The XML to define. `images` gives each data disk its new path, and those without one are left
    out: their old path may be another VM's by now. `gone` are media and folders of log files that
    the host does not have; `nvram` is the new path of the UEFI variables."""
    root = _parsed(xml)
    _leave_out(root, {disk.target for disk in _data_disks(xml)} - set(images))
    _set_text(root, "name", identity.name)
    _set_text(root, "uuid", identity.uuid)
    for entry in root.iterfind("sysinfo/system/entry[@name='uuid']"):
        entry.text = identity.uuid
    for disk in root.iterfind(_DISKS):
        _point(disk, images, gone)
    element = root.find("os/nvram")
    if element is not None and nvram:
        element.text = nvram
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


def _point(disk: Element, images: Mapping[str, str], gone: Collection[str]) -> None:
    target = disk.find("target")
    path = images.get(target.get("dev", "")) if target is not None else None
    source = disk.find("source")
    if path is None:
        if source is not None and _is_medium(disk) and _source_of(disk) in gone:
            disk.remove(source)  # an empty drive, as after ejecting
        return
    disk.set("type", "file")
    for name in ("source", "backingStore"):
        for child in disk.findall(name):
            disk.remove(child)
    disk.append(Element("source", file=path))


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


def _parsed(xml: str) -> Element:
    # Its SHA-256 was compared with the manifest's; expat refuses entity bombs by itself.
    return ElementTree.fromstring(xml)  # noqa: S314
