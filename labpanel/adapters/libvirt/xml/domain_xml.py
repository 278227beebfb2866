"""libvirt's domain XML as values. Pure: text in, values out (format: libvirt.org/formatdomain)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar
from xml.etree.ElementTree import Element

from labpanel.adapters.answers import safe_xml
from labpanel.adapters.libvirt import disk_words
from labpanel.lib import closed
from labpanel.lib.closed import Aside, Odd

Device = TypeVar("Device")
# libvirt takes these for powers of 1024 unless they end in "B" (formatdomain, "memory")
_UNITS = {
    "b": 1,
    "bytes": 1,
    "k": 2**10,
    "kib": 2**10,
    "kb": 10**3,
    "m": 2**20,
    "mib": 2**20,
    "mb": 10**6,
    "g": 2**30,
    "gib": 2**30,
    "gb": 10**9,
    "t": 2**40,
    "tib": 2**40,
    "tb": 10**12,
}


@dataclass(frozen=True, slots=True)
class Disk:
    """One <disk>. `source` is a path, for a network disk `protocol:name`, or empty.

    `backing_chain` lists the sources below the top; `chain_known` is False where the XML says
    nothing of it, as it does for most VMs that are off. `encrypted`, `sliced`: as lib/disks.py has
    them.
    """

    target: str
    device: str
    kind: str
    source: str
    format: str
    bus: str
    serial: str
    iothread: bool
    shareable: bool
    read_only: bool
    transient: bool
    backing_chain: tuple[str, ...]
    chain_known: bool
    encrypted: bool = False
    sliced: bool = False


@dataclass(frozen=True, slots=True)
class Nic:
    """One <interface>: `kind` is network, bridge, direct…; `source` what it hangs on."""

    mac: str
    kind: str
    source: str
    model: str


@dataclass(frozen=True, slots=True)
class Domain:
    """What the panel reads of one domain. `odd` are ends of sentences on devices put aside."""

    name: str
    uuid: str
    vcpus: int
    memory_bytes: int
    disks: tuple[Disk, ...]
    nics: tuple[Nic, ...]
    nvram: str
    tpm: bool
    passthrough: int
    odd: tuple[str, ...] = ()


# Of a q35 with all its bridges; a path by PATH_MAX (linux/limits.h).
_MOST_DISKS, _MOST_NICS, _MOST_PATH = 512, 256, 4096


def parse(xml: str) -> Domain:
    """Raises ValueError when it is not a domain; a device of it that is odd is put aside."""
    try:
        root = safe_xml.parse(xml)
    except safe_xml.UnsafeXml as broken:
        raise ValueError(broken.reason) from broken
    if root.tag != "domain":
        raise ValueError(f"<{root.tag}> is not a domain")
    disks, nics = root.findall("devices/disk"), root.findall("devices/interface")
    if len(disks) > _MOST_DISKS or len(nics) > _MOST_NICS:
        raise Odd(f"it has more than {_MOST_DISKS} disks or {_MOST_NICS} network cards")
    aside = Aside("the VM")
    return Domain(
        name=closed.text(_text(root, "name"), "name"),
        uuid=closed.text(_text(root, "uuid"), "UUID", most=64),
        vcpus=_vcpus(root),
        memory_bytes=_bytes(root.find("memory")),
        disks=_each(disks, "disk", _disk, aside),
        nics=_each(nics, "network card", _nic, aside),
        nvram=closed.text(_text(root, "os/nvram"), "NVRAM's path", most=_MOST_PATH),
        tpm=root.find("devices/tpm") is not None,
        passthrough=len(root.findall("devices/hostdev")),
        odd=aside.sentences,
    )


def _each(
    nodes: list[Element], what: str, read: Callable[[Element], Device], aside: Aside
) -> tuple[Device, ...]:
    found = []
    for place, node in enumerate(nodes, start=1):
        try:
            found.append(read(node))
        except Odd as odd:
            target = _attribute(node, "target", "dev")
            shown = target if target and len(target) <= 32 and closed.is_plain(target) else place
            aside.put(f"{what} {shown}", odd)
    return tuple(found)


def _text(node: Element, path: str) -> str:
    """As written: a name may begin with a space."""
    return node.findtext(path) or ""


def _attribute(node: Element, path: str, name: str) -> str:
    found = node.find(path)
    return "" if found is None else found.get(name, "")


def _vcpus(root: Element) -> int:
    """`current` where CPUs can still be plugged in."""
    node = root.find("vcpu")
    if node is None:
        return 1
    return closed.digits(node.get("current") or node.text or "1", "CPUs", most=closed.MOST_COUNT)


def _bytes(node: Element | None) -> int:
    """Libvirt's default unit of memory is KiB."""
    if node is None:
        return 0
    unit = _UNITS.get(node.get("unit", "KiB").lower(), 2**10)
    return closed.whole(closed.digits(node.text or "0", "memory") * unit, "memory")


def _disk(node: Element) -> Disk:
    driver = node.find("driver")
    chain, known = _chain(node)
    return Disk(
        target=closed.disk_target(_attribute(node, "target", "dev")),
        device=closed.text(node.get("device", "disk"), "kind of device", most=16),
        kind=closed.text(node.get("type", "file"), "type", most=16),
        source=closed.text(source(node), "source", most=_MOST_PATH),
        format=closed.disk_format("" if driver is None else driver.get("type", "")),
        bus=closed.text(_attribute(node, "target", "bus"), "bus", most=16),
        serial=closed.text(_text(node, "serial"), "serial number"),
        iothread=driver is not None
        and (driver.get("iothread") is not None or driver.find("iothreads") is not None),
        shareable=node.find("shareable") is not None,
        read_only=node.find("readonly") is not None,
        transient=node.find("transient") is not None,
        backing_chain=chain,
        chain_known=known,
        encrypted=disk_words.is_encrypted(node),
        sliced=disk_words.is_sliced(node),
    )


def source(node: Element) -> str:
    """What a <disk> or <backingStore> lies on, in one word."""
    found = node.find("source")
    if found is None:
        return ""
    match node.get("type", "file"):
        case "network":
            return f"{found.get('protocol', '')}:{found.get('name', '')}"
        case "volume":
            return f"{found.get('pool', '')}/{found.get('volume', '')}"
        case _:
            return found.get("file") or found.get("dev") or found.get("dir") or ""


def _chain(node: Element) -> tuple[tuple[str, ...], bool]:
    """An empty <backingStore/> ends a chain; none at all says nothing."""
    chain: list[str] = []
    layer = node.find("backingStore")
    while layer is not None:
        if layer.find("source") is None:
            return tuple(chain), True
        chain.append(closed.text(source(layer), "backing file", most=_MOST_PATH))
        layer = layer.find("backingStore")
    return tuple(chain), False


def _nic(node: Element) -> Nic:
    found = node.find("source")
    said = {} if found is None else found.attrib
    return Nic(
        mac=closed.text(_attribute(node, "mac", "address"), "MAC address", most=17),
        kind=closed.text(node.get("type", ""), "type", most=16),
        source=closed.text(
            said.get("network") or said.get("bridge") or said.get("dev") or "", "source"
        ),
        model=closed.text(_attribute(node, "model", "type"), "model", most=32),
    )
