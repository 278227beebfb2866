"""libvirt's domain XML as values. Pure: text in, values out (format: libvirt.org/formatdomain)."""

from dataclasses import dataclass
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

# virDomainState (libvirt-domain.h) → its name, as `virsh list` says it
STATES = (
    "no state",
    "running",
    "blocked",
    "paused",
    "in shutdown",
    "shut off",
    "crashed",
    "suspended by guest",
)
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
    nothing of it, as it does for most VMs that are off.
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


@dataclass(frozen=True, slots=True)
class Nic:
    """One <interface>: `kind` is network, bridge, direct…; `source` what it hangs on."""

    mac: str
    kind: str
    source: str
    model: str


@dataclass(frozen=True, slots=True)
class Domain:
    """What the panel reads of one domain."""

    name: str
    uuid: str
    vcpus: int
    memory_bytes: int
    disks: tuple[Disk, ...]
    nics: tuple[Nic, ...]
    nvram: str
    tpm: bool
    passthrough: int


def parse(xml: str) -> Domain:
    """Raises ValueError when it is not a domain."""
    try:
        root = ElementTree.fromstring(xml)  # noqa: S314 - libvirt's own output; Expat ≥ 2.4.1
    except ElementTree.ParseError as broken:
        raise ValueError(f"not XML: {broken}") from broken
    if root.tag != "domain":
        raise ValueError(f"<{root.tag}> is not a domain")
    devices = root.find("devices")
    return Domain(
        name=_text(root, "name"),
        uuid=_text(root, "uuid"),
        vcpus=_vcpus(root),
        memory_bytes=_bytes(root.find("memory")),
        disks=tuple(map(_disk, devices.findall("disk"))) if devices is not None else (),
        nics=tuple(map(_nic, devices.findall("interface"))) if devices is not None else (),
        nvram=_text(root, "os/nvram"),
        tpm=root.find("devices/tpm") is not None,
        passthrough=len(root.findall("devices/hostdev")),
    )


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
    return int(node.get("current") or node.text or 1)


def _bytes(node: Element | None) -> int:
    """Libvirt's default unit of memory is KiB."""
    if node is None:
        return 0
    return int(node.text or 0) * _UNITS.get(node.get("unit", "KiB").lower(), 2**10)


def _disk(node: Element) -> Disk:
    driver = node.find("driver")
    chain, known = _chain(node)
    return Disk(
        target=_attribute(node, "target", "dev"),
        device=node.get("device", "disk"),
        kind=node.get("type", "file"),
        source=source(node),
        format="" if driver is None else driver.get("type", ""),
        bus=_attribute(node, "target", "bus"),
        serial=_text(node, "serial"),
        iothread=driver is not None
        and (driver.get("iothread") is not None or driver.find("iothreads") is not None),
        shareable=node.find("shareable") is not None,
        read_only=node.find("readonly") is not None,
        transient=node.find("transient") is not None,
        backing_chain=chain,
        chain_known=known,
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
        chain.append(source(layer))
        layer = layer.find("backingStore")
    return tuple(chain), False


def _nic(node: Element) -> Nic:
    found = node.find("source")
    said = {} if found is None else found.attrib
    return Nic(
        mac=_attribute(node, "mac", "address"),
        kind=node.get("type", ""),
        source=said.get("network") or said.get("bridge") or said.get("dev") or "",
        model=_attribute(node, "model", "type"),
    )
