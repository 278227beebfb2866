"""The definition of a VM that runs on blocks of a generation: overlays over an NBD socket."""

from collections.abc import Mapping
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from labpanel.adapters.answers import safe_xml

_DISKS = "devices/disk"
# A read that fails after all pauses the guest, which goes on when it is resumed; by default QEMU
# would hand the error to the guest.
_POLICIES = ("error_policy", "rerror_policy")


def borrowing(xml: str, sockets: Mapping[str, str]) -> str:
    """`xml` with each disk of `sockets` (by target) a qcow2 overlay over the raw content that the
    NBD export of the disk's name at that socket shows."""
    root = safe_xml.parse(xml)
    for disk in root.iterfind(_DISKS):
        socket = sockets.get(_target(disk))
        if socket is not None:
            _borrow(disk, socket)
    return ElementTree.tostring(root, encoding="unicode")


def _borrow(disk: Element, socket: str) -> None:
    driver = disk.find("driver")
    if driver is None:
        driver = SubElement(disk, "driver", name="qemu")
    driver.set("type", "qcow2")
    for policy in _POLICIES:
        driver.set(policy, "stop")
    for old in disk.findall("backingStore"):
        disk.remove(old)
    below = SubElement(disk, "backingStore", type="network")
    SubElement(below, "format", type="raw")
    source = SubElement(below, "source", protocol="nbd", name=_target(disk))
    SubElement(source, "host", transport="unix", socket=socket)


def independent(xml: str, original: Mapping[str, Mapping[str, str]]) -> str:
    """`xml` without anything borrowed; `original` gives each disk its own error policies back."""
    root = safe_xml.parse(xml)
    for disk in root.iterfind(_DISKS):
        policies = original.get(_target(disk))
        driver = disk.find("driver")
        if policies is None or driver is None:
            continue
        for below in disk.findall("backingStore"):
            disk.remove(below)
        for policy in _POLICIES:
            driver.attrib.pop(policy, None)
        driver.attrib.update(policies)
    return ElementTree.tostring(root, encoding="unicode")


def borrows(xml: str) -> list[str]:
    """Disks whose definition names what lies below them."""
    return [
        _target(disk)
        for disk in safe_xml.parse(xml).iterfind(_DISKS)
        if disk.find("backingStore/source") is not None
    ]


def policies(xml: str) -> dict[str, dict[str, str]]:
    """Each disk's own error policies, by target."""
    return {_target(disk): _policies_of(disk) for disk in safe_xml.parse(xml).iterfind(_DISKS)}


def _policies_of(disk: Element) -> dict[str, str]:
    driver = disk.find("driver")
    found = {} if driver is None else driver.attrib
    return {name: found[name] for name in _POLICIES if name in found}


def _target(disk: Element) -> str:
    target = disk.find("target")
    return "" if target is None else target.get("dev", "")
