"""Domain XML as a move reads and rewrites it."""

from collections.abc import Iterator, Mapping, Set
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from labpanel.adapters.answers import safe_xml
from labpanel.adapters.libvirt import disk_words
from labpanel.adapters.libvirt.xml import needs_xml
from labpanel.adapters.libvirt.xml.beside_xml import nvram_path
from labpanel.lib.moving import DomainNeeds, MovingDisk

_KIB = {"b": 1, "bytes": 1, "KB": 1000, "k": 1024, "KiB": 1024, "MB": 1000**2, "M": 1024**2}
_UNITS = {**_KIB, "MiB": 1024**2, "GB": 1000**3, "G": 1024**3, "GiB": 1024**3, "TiB": 1024**4}
_SOURCES = ("file", "dev", "dir", "name")


def needs(xml: str) -> DomainNeeds:
    """What the description asks of a host. Disk sizes are left 0: they are the host's to tell."""
    root = safe_xml.parse(xml)
    machine = root.find("os/type")
    cpu = root.find("cpu")
    kinds = [(nic, nic.get("type")) for nic in root.iterfind("devices/interface")]
    return DomainNeeds(
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
        things=needs_xml.things(root),
        volumes=needs_xml.volumes(root),
        nvram=nvram_path(root),
        tpm=root.find("devices/tpm/backend[@type='emulator']") is not None,
        huge_pages=root.find("memoryBacking/hugepages") is not None,
    )


def rewritten(
    xml: str,
    paths: Mapping[str, str],
    empty: Set[str] = frozenset(),
    formats: Mapping[str, str] | None = None,
) -> str:
    """The description with images under their new `paths` and the drives `empty` (by target)
    without their medium. What libvirt found out about backing files does not apply any more.
    `formats` are what the new images are, by old path: QEMU would follow what a guest wrote into a
    raw one that is opened as qcow2."""
    root = safe_xml.parse(xml)
    for disk in root.iterfind("devices/disk"):
        source, target = disk.find("source"), disk.find("target")
        if source is None or target is None:
            continue
        if target.get("dev") in empty:
            disk.remove(source)
            disk.set("type", "file")  # a drive that says "network" must say where
        elif source.get("file") in paths:
            old = source.get("file", "")
            if formats and old in formats:
                _format(disk, formats[old])
            source.set("file", paths[old])
            for backing in disk.findall("backingStore"):
                disk.remove(backing)
    nvram = root.find("os/nvram")
    if nvram is not None and (nvram.text or "").strip() in paths:
        nvram.text = paths[(nvram.text or "").strip()]
    return ElementTree.tostring(root, encoding="unicode")


def _format(disk: Element, image_format: str) -> None:
    driver = disk.find("driver")
    if driver is None:
        driver = ElementTree.SubElement(disk, "driver", name="qemu")
    driver.set("type", image_format)


def _memory(root: Element) -> int:
    element = root.find("memory")
    if element is None:
        return 0
    return int(element.text or 0) * _UNITS.get(element.get("unit", "KiB"), 1024)


def _disk(disk: Element) -> MovingDisk:
    source = disk.find("source")
    backing = disk.find("backingStore")
    found = {} if source is None else source.attrib
    return MovingDisk(
        target=disk_words.target(disk),
        kind=disk.get("type", ""),
        source=next((found[name] for name in _SOURCES if name in found), ""),
        format=disk_words.image_format(disk),
        stacked=backing is not None and backing.find("source") is not None,
        medium=disk.get("device") in {"cdrom", "floppy"},
        read_only=disk.find("readonly") is not None,
        shareable=disk.find("shareable") is not None,
        transient=disk.find("transient") is not None,
        encrypted=disk_words.is_encrypted(disk),
        sliced=disk_words.is_sliced(disk),
        data_elsewhere=disk_words.keeps_data_elsewhere(disk),
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
