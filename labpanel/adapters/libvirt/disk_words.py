"""The words of a <disk> that jobs make file names and command lines of."""

from xml.etree.ElementTree import Element

from labpanel.adapters.errors import Refused
from labpanel.lib import closed
from labpanel.lib.closed import Odd


def target(disk: Element) -> str:
    """The disk's name in the guest, empty where there is none. Raises Refused for what is no such
    name: "../x" would become a path."""
    found = disk.find("target")
    try:
        return closed.disk_target("" if found is None else found.get("dev", ""))
    except Odd as odd:
        raise Refused(f"A virtual disk is not used: {odd}.") from odd


def image_format(disk: Element) -> str:
    """The image's format, raw where none is said. Raises Refused for what no format is called."""
    driver = disk.find("driver")
    try:
        return closed.disk_format("" if driver is None else driver.get("type", "")) or "raw"
    except Odd as odd:
        raise Refused(f"A virtual disk is not used: {odd}.") from odd


def is_encrypted(disk: Element) -> bool:
    """Whether QEMU has the key of the image or of one below it. <encryption> stands in <disk> or
    in any <source>, also in those of <backingStore> (libvirt.org/formatstorageencryption)."""
    return next(disk.iter("encryption"), None) is not None


def is_sliced(disk: Element) -> bool:
    """Whether the image, or one below it, is a part of a larger file (<slices> in a <source>)."""
    return next(disk.iter("slices"), None) is not None


def keeps_data_elsewhere(disk: Element) -> bool:
    """Whether a qcow2 image of the disk holds tables only (<dataStore>, libvirt from 10.10 on)."""
    return next(disk.iter("dataStore"), None) is not None


def address(disk: Element) -> str:
    """Where a network disk lies, as a URI, without what a query may hold."""
    source, host = disk.find("source"), disk.find("source/host")
    protocol, name = (
        ("", "") if source is None else (source.get("protocol", ""), source.get("name", ""))
    )
    place = "" if host is None else host.get("name") or host.get("socket", "")
    port = "" if host is None or not host.get("port") else f":{host.get('port')}"
    return f"{protocol}://{place}{port}/{name.lstrip('/')}"
