"""The XML that a backup reads and writes: a domain's disks, libvirt's backup description, and the
definition that a generation keeps."""

import copy
from collections.abc import Mapping, Sequence
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from labpanel.adapters.answers import safe_xml
from labpanel.adapters.libvirt import disk_words
from labpanel.lib.disks import SourceDisk

_MOST_LAYERS = 100  # as onhost/images/layers.py opens


def source_disks(xml: str) -> list[SourceDisk]:
    """Every block device of a domain, in the order of its XML."""
    root = safe_xml.parse(xml)
    controllers = root.iterfind("devices/controller[@type='scsi']/driver")
    threads = any(driver.get("iothread") for driver in controllers)
    return [_disk(element, scsi_iothread=threads) for element in root.iterfind("devices/disk")]


def _disk(element: Element, *, scsi_iothread: bool = False) -> SourceDisk:
    source, driver, target = (element.find(name) for name in ("source", "driver", "target"))
    attributes: Mapping[str, str] = {} if source is None else source.attrib
    return SourceDisk(
        target=disk_words.target(element),
        device=element.get("device", "disk"),
        kind=element.get("type", "file"),
        source=attributes.get("file") or attributes.get("dev") or attributes.get("name", ""),
        format=disk_words.image_format(element),
        node=attributes.get("index", ""),
        iothread=(driver is not None and driver.get("iothread") is not None)
        or (scsi_iothread and target is not None and target.get("bus") == "scsi"),
        shareable=element.find("shareable") is not None,
        read_only=element.find("readonly") is not None,
        transient=element.find("transient") is not None,
        chain=_chain(element),
        encrypted=disk_words.is_encrypted(element),
        sliced=disk_words.is_sliced(element),
    )


def _chain(disk: Element) -> tuple[tuple[str, str], ...]:
    """libvirt's <backingStore> elements (formatdomain.html): one without a source ends the chain.
    What is not a file or block device is named by its kind, and is none on the host."""
    found: list[tuple[str, str]] = []
    below = disk.find("backingStore")
    while below is not None and len(found) < _MOST_LAYERS:
        source, form = below.find("source"), below.find("format")
        if source is None:
            return (*found, ("", ""))
        path = source.get("file") or source.get("dev") or f"a {below.get('type', '')} source"
        found.append((path, form.get("type", "") if form is not None else ""))
        below = below.find("backingStore")
    return tuple(found)


def network_media(xml: str) -> tuple[str, ...]:
    """Media that come over the network, in words: `hdc (https://host:443/iso/x.iso)`."""
    disks = safe_xml.parse(xml).iterfind("devices/disk[@type='network']")
    return tuple(
        f"{disk_words.target(disk)} ({disk_words.address(disk)})"
        for disk in disks
        if disk.get("device") in {"cdrom", "floppy"} and disk.find("source") is not None
    )


def pull_description(
    socket: str, scratch: Mapping[str, str], since: Mapping[str, str] | None = None
) -> str:
    """libvirt's <domainbackup> for a pull backup over a unix socket (formatbackup.html).

    `scratch` gives each disk its file for what the guest overwrites meanwhile. Disks are always
    listed: without a list libvirt takes all, also those that cannot be handled. `since` names, for
    disks that have one, the checkpoint from which on QEMU shows what changed.
    """
    root = Element("domainbackup", mode="pull")
    SubElement(root, "server", transport="unix", socket=socket)
    disks = SubElement(root, "disks")
    for target, path in scratch.items():
        disk = _backed_up(disks, target)
        if since and target in since:
            disk.set("backupmode", "incremental")
            disk.set("incremental", since[target])
        SubElement(disk, "scratch", file=path)
    return ElementTree.tostring(root, encoding="unicode")


def push_description(files: Mapping[str, str]) -> str:
    """The same in push mode: QEMU itself writes each disk whole into the file given for it."""
    root = Element("domainbackup", mode="push")
    disks = SubElement(root, "disks")
    for target, path in files.items():
        SubElement(_backed_up(disks, target), "target", file=path)
    return ElementTree.tostring(root, encoding="unicode")


def _backed_up(disks: Element, target: str) -> Element:
    disk = SubElement(disks, "disk", name=target, backup="yes", type="file")
    SubElement(disk, "driver", type="qcow2")
    return disk


def checkpoint_description(name: str, targets: Sequence[str]) -> str:
    """libvirt's <domaincheckpoint>: from now on QEMU records what changes on these disks, each in a
    bitmap called `name` (formatcheckpoint.html). Disks that are not listed get none."""
    root = Element("domaincheckpoint")
    SubElement(root, "name").text = name
    disks = SubElement(root, "disks")
    for target in targets:
        SubElement(disks, "disk", name=target, checkpoint="bitmap")
    return ElementTree.tostring(root, encoding="unicode")


def definition(live: str, inactive: str, kept: Sequence[str]) -> str:
    """The domain XML that a generation keeps: the persistent definition, with the data disks that
    the backup holds (`kept`, by target), also those that were plugged into the running VM only."""
    root, now = safe_xml.parse(inactive), safe_xml.parse(live)
    devices = root.find("devices")
    assert devices is not None
    known = {_disk(element).target for element in devices.iterfind("disk")}
    for element in now.iterfind("devices/disk"):
        disk = _disk(element)
        if disk.target in kept and disk.target not in known:
            devices.append(_plain(element))
    for element in devices.findall("disk"):
        disk = _disk(element)
        if disk.holds_data and disk.target not in kept:
            devices.remove(element)
    return ElementTree.tostring(root, encoding="unicode")


def _plain(element: Element) -> Element:
    """A disk of the live XML without what libvirt adds while it runs."""
    plain = copy.deepcopy(element)
    for name in ("alias", "backingStore", "mirror"):
        for child in plain.findall(name):
            plain.remove(child)
    source = plain.find("source")
    if source is not None:
        source.attrib.pop("index", None)
    return plain
