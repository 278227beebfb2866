"""What a domain asks of any host beside its images and its networks, read from its XML
(formatdomain.html): files and devices that must be there as they are, volumes of pools."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import PurePosixPath
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from labpanel.adapters.answers import safe_xml
from labpanel.lib.moving import Thing

# QEMU has these on every host, or makes them.
_EVERYWHERE = {"/dev/urandom", "/dev/random", "/dev/null", "/dev/ptmx"}
_SHOWN = 200


def things(root: Element) -> tuple[Thing, ...]:
    """In the order of the definition, each path once."""
    found = {
        thing.path: thing
        for thing in (*_system(root), *_disks(root), *_devices(root))
        if PurePosixPath(thing.path).is_absolute() and thing.path not in _EVERYWHERE
    }
    return tuple(found.values())


def volumes(root: Element) -> tuple[tuple[str, str], ...]:
    """(pool, volume) of disks that stay where they are, and of shared folders."""
    disks = [disk for disk in root.iterfind("devices/disk[@type='volume']") if _stays(disk)]
    sources = [
        _attributes(each, "source")
        for each in (*disks, *root.iterfind("devices/filesystem[@type='volume']"))
    ]
    return tuple((said.get("pool", ""), said.get("volume", "")) for said in sources if said)


def without_cards(
    xml: str, networks: Collection[str], bridges: Collection[str]
) -> tuple[str, tuple[str, ...]]:
    """The definition without the network cards on these, and what they were, in words."""
    root, gone = safe_xml.parse(xml), []
    devices = root.find("devices")
    for card in [] if devices is None else devices.findall("interface"):
        kind, said = card.get("type", ""), _attributes(card, "source")
        if said.get(kind, "") in {"network": networks, "bridge": bridges}.get(kind, ()):
            mac = _attributes(card, "mac").get("address", "without an address")
            gone.append(f"the network card {mac} ({kind} {said.get(kind)})")
            assert devices is not None, "a card was found in it"
            devices.remove(card)
    return ElementTree.tostring(root, encoding="unicode"), tuple(gone)


def _attributes(element: Element, path: str) -> Mapping[str, str]:
    found = element.find(path)
    return {} if found is None else found.attrib


def _stays(disk: Element) -> bool:
    """No image of the VM's own: its content is not brought along."""
    medium = disk.get("device") in {"cdrom", "floppy"}
    return not medium and any(disk.find(name) is not None for name in ("readonly", "shareable"))


def _system(root: Element) -> Iterator[Thing]:
    words = {
        "devices/emulator": "the emulator",
        "os/loader": "the firmware",
        "os/kernel": "the kernel",
        "os/initrd": "the initrd",
        "os/dtb": "the device tree",
    }
    for path, what in words.items():
        yield _file(what, (root.findtext(path) or "").strip())
    yield _file(
        "the template of the UEFI variables", _attributes(root, "os/nvram").get("template", "")
    )


def _file(what: str, path: str) -> Thing:
    return Thing(path, f"{what} {path[:_SHOWN]}")


def _disks(root: Element) -> Iterator[Thing]:
    for disk in root.iterfind("devices/disk"):
        said = _attributes(disk, "source")
        if _stays(disk):
            kind = "read-only image" if disk.find("readonly") is not None else "shared image"
            target = _attributes(disk, "target").get("dev", "")
            path = said.get("file") or said.get("dev") or said.get("dir") or ""
            yield Thing(path, f"the {kind} {path[:_SHOWN]} ({target})")


def _devices(root: Element) -> Iterator[Thing]:
    for folder in root.iterfind("devices/filesystem"):
        said = _attributes(folder, "source")
        yield _file("the shared folder", said.get("dir") or said.get("file") or said.get("dev", ""))
    for device in root.iterfind("devices/hostdev"):
        yield from _passed(device)
    for card in root.iterfind("devices/interface[@type='hostdev']"):
        said = _attributes(card, "source/address")
        if said.get("type") == "pci":
            yield _pci(said, "network card")
    for region in root.iterfind("devices/memory"):
        yield _file("the NVDIMM", (region.findtext("source/path") or "").strip())
    for tpm in root.iterfind("devices/tpm/backend[@type='passthrough']"):
        yield _file("the TPM", _attributes(tpm, "device").get("path", ""))
    for entropy in root.iterfind("devices/rng/backend[@model='random']"):
        yield _file("the source of entropy", (entropy.text or "").strip())
    for kind in ("serial", "parallel", "console", "channel"):
        for port in root.iterfind(f"devices/{kind}[@type='dev']"):
            yield _file("the port", _attributes(port, "source").get("path", ""))
    for entry in root.iterfind("devices/input"):
        yield _file("the input device", _attributes(entry, "source").get("dev", ""))


def _passed(device: Element) -> Iterator[Thing]:
    """Where Linux shows the device (sysfs). A USB device by its maker's numbers has no such place
    that is known beforehand."""
    said, adapter = _attributes(device, "source/address"), _attributes(device, "source/adapter")
    match device.get("type", ""):
        case "pci" if said:
            yield _pci(said, "PCI device")
        case "mdev":
            uuid = _plain(said.get("uuid", ""))
            yield Thing(f"/sys/bus/mdev/devices/{uuid}", f"the mediated device {uuid}")
        case "usb" if said:
            bus, number = (_number(said.get(name, "")) for name in ("bus", "device"))
            path = f"/dev/bus/usb/{bus:03}/{number:03}"
            yield Thing(path, f"the USB device on bus {bus}, device {number}")
        case "scsi" if adapter:
            host = _plain(adapter.get("name", "")).removeprefix("scsi_host")
            place = ":".join([host, *(_plain(said.get(n, "")) for n in ("bus", "target", "unit"))])
            yield Thing(f"/sys/bus/scsi/devices/{place}", f"the SCSI device {place}")
        case "storage" | "misc":
            for name in ("block", "char"):
                yield _file("the device", (device.findtext(f"source/{name}") or "").strip())


def _pci(said: Mapping[str, str], what: str) -> Thing:
    """Named as lspci -D does."""
    domain, bus, slot, function = (
        _number(said.get(name, "0")) for name in ("domain", "bus", "slot", "function")
    )
    name = f"{domain:04x}:{bus:02x}:{slot:02x}.{function:x}"
    return Thing(f"/sys/bus/pci/devices/{name}", f"the {what} {name}")


def _number(text: str) -> int:
    """libvirt writes 0x1f, and takes 31 for the same."""
    try:
        return int(text, 16 if text.lower().startswith("0x") else 10)
    except ValueError:
        return 0


def _plain(text: str) -> str:
    """A word that is one name of a folder."""
    return "".join(c for c in text if c.isalnum() or c in "-_.")[:64]
