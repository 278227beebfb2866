"""What a domain has beside its disks, read from its XML (formatdomain.html)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from labpanel.adapters.answers import safe_xml


@dataclass(frozen=True, slots=True)
class Tpm:
    """`kind` is libvirt's: emulator, passthrough, external. `secret` encrypts an emulator's state;
    `elsewhere` is where it lies, if not in libvirt's own folder."""

    kind: str
    version: str
    secret: str = ""
    elsewhere: str = ""

    @property
    def words(self) -> str:
        return f"TPM {self.version}".strip()


@dataclass(frozen=True, slots=True)
class Beside:
    """Paths of the files that a direct boot starts (empty for none) and of the UEFI variables
    (`nvram_kind` is their source's type, empty where libvirt says none), the TPM, and in words what
    belongs to the host: its devices, its folders, files that are memory of the guest."""

    kernel: str
    initrd: str
    dtb: str
    nvram: str
    nvram_kind: str
    tpm: Tpm | None
    devices: tuple[str, ...]
    folders: tuple[str, ...]
    nvdimms: tuple[str, ...]

    @property
    def boot_files(self) -> dict[str, str]:
        """Those of a direct boot, by their element of <os>."""
        found = {"kernel": self.kernel, "initrd": self.initrd, "dtb": self.dtb}
        return {name: path for name, path in found.items() if path}


def beside(xml: str) -> Beside:
    root = safe_xml.parse(xml)
    return Beside(
        kernel=_text(root, "os/kernel"),
        initrd=_text(root, "os/initrd"),
        dtb=_text(root, "os/dtb"),
        nvram=nvram_path(root),
        nvram_kind=_attributes(root, "os/nvram").get("type", ""),
        tpm=_tpm(root),
        devices=tuple(_devices(root)),
        folders=tuple(_folder(each) for each in root.iterfind("devices/filesystem")),
        nvdimms=tuple(
            path
            for each in root.iterfind("devices/memory")
            if (path := (each.findtext("source/path") or "").strip())
        ),
    )


def nvram_path(root: Element) -> str:
    """The file of the UEFI variables, in either spelling; empty for none."""
    return _text(root, "os/nvram") or _attributes(root, "os/nvram/source").get("file", "")


def _text(root: Element, path: str) -> str:
    return (root.findtext(path) or "").strip()


def _attributes(element: Element, path: str) -> Mapping[str, str]:
    found = element.find(path)
    return {} if found is None else found.attrib


def _tpm(root: Element) -> Tpm | None:
    backend = root.find("devices/tpm/backend")
    if backend is None:
        return None
    source = _attributes(backend, "source")
    return Tpm(
        kind=backend.get("type", ""),
        version=backend.get("version", ""),
        secret=_attributes(backend, "encryption").get("secret", ""),
        elsewhere=source.get("path", ""),
    )


def _devices(root: Element) -> Iterator[str]:
    for device in root.iterfind("devices/hostdev"):
        yield _device(device)
    for nic in root.iterfind("devices/interface[@type='hostdev']"):
        yield f"network card {_attributes(nic, 'mac').get('address', '')}".strip()


def _device(device: Element) -> str:
    address = _attributes(device, "source/address")
    match device.get("type", ""):
        case "pci":
            return f"PCI device {_pci(address)}"
        case "usb":
            vendor, product = (
                _attributes(device, f"source/{name}").get("id", "")
                for name in ("vendor", "product")
            )
            if vendor or product:
                return f"USB device {vendor.removeprefix('0x')}:{product.removeprefix('0x')}"
            where = f"bus {address.get('bus', '')}, device {address.get('device', '')}"
            return f"USB device on {where}"
        case "scsi":
            return f"SCSI device {_scsi(device, address)}"
        case "scsi_host":
            wwpn = _attributes(device, "source").get("wwpn", "")
            return f"SCSI controller {wwpn}".strip()
        case "mdev":
            return f"mediated device {address.get('uuid', '')}".strip()
        case kind:
            return f"{kind} device".strip()


def _pci(address: Mapping[str, str]) -> str:
    """As lspci -D writes it."""
    names = (("domain", 4), ("bus", 2), ("slot", 2))
    parts = [address.get(name, "").removeprefix("0x").rjust(wide, "0") for name, wide in names]
    return f"{':'.join(parts)}.{address.get('function', '0').removeprefix('0x')}"


def _scsi(device: Element, address: Mapping[str, str]) -> str:
    source = _attributes(device, "source")
    if source.get("protocol"):
        return f"{source['protocol']}:{source.get('name', '')}"
    adapter = _attributes(device, "source/adapter").get("name", "")
    return f"{adapter} {':'.join(address.get(name, '') for name in ('bus', 'target', 'unit'))}"


def _folder(element: Element) -> str:
    """The host's folder and the guest's name for it; of a socket or a volume, that."""
    source = _attributes(element, "source")
    names = ("dir", "file", "dev", "socket", "volume", "name")
    where = next((source[name] for name in names if source.get(name)), "")
    tag = _attributes(element, "target").get("dir", "")
    return f"{where} ({tag} in the guest)" if where and tag else where or tag
