"""Domain XML as a move reads and rewrites it."""

from collections.abc import Iterator, Mapping, Set
from pathlib import PurePosixPath
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from labpanel.lib.moving import MovingDisk, Needs

_KIB = {"b": 1, "bytes": 1, "KB": 1000, "k": 1024, "KiB": 1024, "MB": 1000**2, "M": 1024**2}
_UNITS = {**_KIB, "MiB": 1024**2, "GB": 1000**3, "G": 1024**3, "GiB": 1024**3, "TiB": 1024**4}
_SOURCES = ("file", "dev", "dir", "name")


def needs(xml: str) -> Needs:
    """What the description asks of a host. Disk sizes are left 0: they are the host's to tell."""
    root = ElementTree.fromstring(xml)  # noqa: S314 - libvirt wrote it, entities are resolved
    machine = root.find("os/type")
    cpu = root.find("cpu")
    kinds = [(nic, nic.get("type")) for nic in root.iterfind("devices/interface")]
    return Needs(
        name=root.findtext("name", ""),
        uuid=root.findtext("uuid", ""),
        arch="" if machine is None else machine.get("arch", ""),
        machine="" if machine is None else machine.get("machine", ""),
        emulator=root.findtext("devices/emulator", ""),
        emulated=root.get("type") == "qemu",
        cpu="" if cpu is None else ElementTree.tostring(cpu, encoding="unicode"),
        cpu_mode="" if cpu is None else cpu.get("mode", ""),
        memory_bytes=_memory(root),
        disks=tuple(_disk(disk) for disk in root.iterfind("devices/disk")),
        networks=_sources(kinds, "network"),
        bridges=_sources(kinds, "bridge"),
        directs=tuple(_attribute(nic, "dev") for nic, kind in kinds if kind == "direct"),
        passthrough=tuple(_passthrough(root)),
        files=tuple(_files(root)),
        nvram=(root.findtext("os/nvram") or "").strip(),
        tpm=root.find("devices/tpm/backend[@type='emulator']") is not None,
        huge_pages=root.find("memoryBacking/hugepages") is not None,
    )


def rewritten(xml: str, paths: Mapping[str, str], empty: Set[str] = frozenset()) -> str:
    """The description with images under their new `paths` and the drives `empty` (by target)
    without their medium. What libvirt found out about backing files does not apply any more."""
    root = ElementTree.fromstring(xml)  # noqa: S314 - libvirt wrote it, entities are resolved
    for disk in root.iterfind("devices/disk"):
        source, target = disk.find("source"), disk.find("target")
        if source is None or target is None:
            continue
        if target.get("dev") in empty:
            disk.remove(source)
        elif source.get("file") in paths:
            source.set("file", paths[source.get("file", "")])
            for backing in disk.findall("backingStore"):
                disk.remove(backing)
    nvram = root.find("os/nvram")
    if nvram is not None and (nvram.text or "").strip() in paths:
        nvram.text = paths[(nvram.text or "").strip()]
    return ElementTree.tostring(root, encoding="unicode")


def _memory(root: Element) -> int:
    element = root.find("memory")
    if element is None:
        return 0
    return int(element.text or 0) * _UNITS.get(element.get("unit", "KiB"), 1024)


def _disk(disk: Element) -> MovingDisk:
    source, target, driver = disk.find("source"), disk.find("target"), disk.find("driver")
    backing = disk.find("backingStore")
    found = {} if source is None else source.attrib
    return MovingDisk(
        target="" if target is None else target.get("dev", ""),
        kind=disk.get("type", ""),
        source=next((found[name] for name in _SOURCES if name in found), ""),
        format="raw" if driver is None else driver.get("type", "raw"),
        stacked=backing is not None and backing.find("source") is not None,
        medium=disk.get("device") in {"cdrom", "floppy"},
        read_only=disk.find("readonly") is not None,
        shareable=disk.find("shareable") is not None,
    )


def _sources(kinds: list[tuple[Element, str | None]], wanted: str) -> tuple[str, ...]:
    return tuple(sorted({_attribute(nic, wanted) for nic, kind in kinds if kind == wanted}))


def _attribute(nic: Element, name: str) -> str:
    source = nic.find("source")
    return "" if source is None else source.get(name, "")


def _passthrough(root: Element) -> Iterator[str]:
    for device in root.iterfind("devices/hostdev"):
        yield f"a passed-through {device.get('type', 'host')} device"
    for nic in root.iterfind("devices/interface[@type='hostdev']"):
        yield f"a passed-through network card ({_mac(nic)})"
    for folder in root.iterfind("devices/filesystem"):
        yield f"a shared folder ({_target(folder, 'dir')})"
    for memory in root.iterfind("devices/shmem"):
        yield f"shared memory ({memory.get('name', '')})"
    for tpm in root.iterfind("devices/tpm/backend[@type='passthrough']"):
        yield f"the host's own TPM ({tpm.get('type')})"
    for device in root.iterfind("devices/redirdev"):
        if device.get("type") == "tcp":
            yield "a redirected USB device"
    for region in root.iterfind("devices/memory[@model='nvdimm']"):
        yield f"an NVDIMM on a file ({region.findtext('source/path', '')})"


def _mac(nic: Element) -> str:
    mac = nic.find("mac")
    return "" if mac is None else mac.get("address", "")


def _target(element: Element, name: str) -> str:
    target = element.find("target")
    return "" if target is None else target.get(name, "")


def _files(root: Element) -> Iterator[str]:
    """Files that must be on any host as they are, and media."""
    nvram = root.find("os/nvram")
    template = "" if nvram is None else nvram.get("template", "")
    words = [root.findtext(f"os/{name}", "") for name in ("loader", "kernel", "initrd", "dtb")]
    for word in (*words, template):
        if PurePosixPath(word).is_absolute():
            yield word
    for disk in root.iterfind("devices/disk[@type='file']"):
        looked_at = _disk(disk)
        if looked_at.source and (looked_at.medium or looked_at.read_only):
            yield looked_at.source
