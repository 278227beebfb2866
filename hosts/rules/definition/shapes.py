"""Shapes of values in a VM's definition that give it nothing of its host. Pure."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from labpanel.lib.definition import Node

_WORD = re.compile(r"[A-Za-z0-9_.:+, ()-]{0,256}\Z")
_NAME = re.compile(r"[^/\x00-\x1f\x7f]{1,128}\Z")
_ZONE = re.compile(r"[A-Za-z0-9_+-]{1,32}(/[A-Za-z0-9_+-]{1,32}){0,2}\Z")
# QEMU as the distributions install it: these files are root's, and any of them is only QEMU.
_EMULATOR = re.compile(
    r"/usr/(bin|libexec|local/bin)/(qemu-system-[a-z0-9_]{1,32}|qemu-kvm|kvm|kvm-spice)\Z"
)
_PTS = re.compile(r"/dev/pts/[0-9]{1,10}\Z")
_FREE = 64 << 10  # characters of a title, a description or an entry of SMBIOS
_FIRMWARE = ("/usr/share", "/usr/lib", "/usr/local/share")
_FIRMWARE_WORDS = ("ovmf", "edk2", "aavmf", "qemu", "seabios")
# Where libvirt puts a domain's own sockets: below `domain-<id>-<name>`, for QEMU unlinks what lies
# in their place (qemu_domain.c, qemuDomainSetPrivatePaths).
_CHANNELS = ("/var/lib/libvirt/qemu/channel/target", "/run/libvirt/qemu/channel")
_RUNTIME = ("/var/lib/libvirt/qemu", "/run/libvirt/qemu")
# What libvirt cuts a name to in such a folder (virDomainDefGetShortName).
_SHORT_NAME = 20
_LOG_TAIL = re.compile(r"-(serial|console|parallel|channel)[0-9]{0,3}\Z|\Z")
_NVRAM = ("/var/lib/libvirt/qemu/nvram",)
_LOGS = "/var/log/libvirt/qemu"
_POOL = "/var/lib/libvirt/images"
_ENTROPY = frozenset({"", "/dev/urandom", "/dev/random", "/dev/hwrng"})
_LOOPBACK = frozenset({"", "127.0.0.1", "::1", "localhost"})
_PORTS = frozenset({"pty", "null", "vc", "spicevmc", "spiceport", "qemu-vdagent", "file", "unix"})


@dataclass(frozen=True, slots=True)
class Setting:
    """What a value is held against. `ours` are files and sockets that the panel itself put into
    the definition, `folders` the destination's folders for images, `line` the elements from the
    definition itself down to the one that holds the value."""

    ours: frozenset[str]
    folders: frozenset[str]
    line: Sequence[Node]

    @property
    def device(self) -> Node:
        """The element below <devices>; meaningful only there."""
        return self.line[2]


def fits(shape: str, value: str, setting: Setting) -> bool:
    """`shape` as hosts.rules.definition.harmless writes it."""
    if shape in _SHAPES:
        return _SHAPES[shape](value, setting)
    if shape:
        return value in shape.split("|")
    return _WORD.match(value) is not None


def inside(path: str, folders: Sequence[str]) -> bool:
    """Whether an absolute path lies below one of the folders, read as it is written; one that goes
    up, or has a control character in it, lies nowhere."""
    pure = PurePosixPath(path)
    plain = pure.is_absolute() and ".." not in pure.parts and path.isprintable()
    return plain and any(pure.is_relative_to(folder) and str(pure) != folder for folder in folders)


def is_nvram(path: str) -> bool:
    """Whether it lies where libvirt keeps UEFI variables."""
    return inside(path, _NVRAM)


def _firmware(value: str, setting: Setting) -> bool:
    """libvirt lets the guest read it. What lies there belongs to distributions' packages, and is
    every VM's: flash that is not said to be read-only is written to."""
    node = setting.line[-1]
    if node.tag == "loader" and node.get("type") == "pflash" and node.get("readonly") != "yes":
        return not value
    named = any(word in value.lower() for word in _FIRMWARE_WORDS)
    return not value or (named and inside(value, _FIRMWARE))


def _nvram(value: str, setting: Setting) -> bool:
    """Another VM's variables lie in the same folder: only a file that the panel knows of."""
    return not value or value in setting.ours


def _image(value: str, setting: Setting) -> bool:
    """One of the panel's own images; for a drive also a medium in a folder for images."""
    if value in setting.ours:
        return True
    is_medium = value.lower().endswith(".iso") and setting.device.get("device") == "cdrom"
    return is_medium and inside(value, [*setting.folders, _POOL])


def _nbd(value: str, setting: Setting) -> bool:
    """Only over a socket of ours: without a host it would be a port of the host's."""
    host = setting.line[-1].find("host")
    return value == "nbd" and host is not None and host.get("socket") in setting.ours


def _port(value: str, setting: Setting) -> bool:
    """The type of a character device, and the path that one has."""
    if setting.line[-1].tag != "source":
        return value in _PORTS
    match setting.device.get("type"):
        case "pty":
            return _PTS.match(value) is not None
        case "unix":
            return value in setting.ours or _own_socket(value, setting, _CHANNELS)
        case "file":
            return value in setting.ours or _log(value, setting)
        case _:
            return False


def _log(value: str, setting: Setting) -> bool:
    """A log beside libvirt's own, under the VM's own name or UUID: another VM's is not."""
    path, root = PurePosixPath(value), setting.line[0]
    if not inside(value, [_LOGS]) or str(path.parent) != _LOGS or path.suffix != ".log":
        return False
    tails = [path.stem.removeprefix(own) for own in _own(root) if path.stem.startswith(own)]
    return any(_LOG_TAIL.match(tail) is not None for tail in tails)


def _own(root: Node) -> list[str]:
    """The VM's own name and UUID."""
    return [node.text for tag in ("name", "uuid") if (node := root.find(tag)) and node.text]


def _socket(value: str, setting: Setting) -> bool:
    return value in setting.ours or _own_socket(value, setting, _RUNTIME)


def _own_socket(value: str, setting: Setting, folders: Sequence[str]) -> bool:
    """`<folder>/domain-<id>-<name>/<file>` of this very domain while it runs: no other domain of
    that host has its number and its name."""
    root, path = setting.line[0], PurePosixPath(value)
    number, node = root.get("id"), root.find("name")
    if not number.isdecimal() or node is None or not inside(value, folders):
        return False
    own = f"{number}-{node.text[:_SHORT_NAME]}"  # without `domain-` for newer channels
    return path.parent.name.removeprefix("domain-") == own and str(path.parent.parent) in folders


def _in(values: frozenset[str]) -> Callable[[str, Setting], bool]:
    return lambda value, _: value in values


def _matches(pattern: re.Pattern[str]) -> Callable[[str, Setting], bool]:
    return lambda value, _: pattern.match(value) is not None


_SHAPES: dict[str, Callable[[str, Setting], bool]] = {
    "<free>": lambda value, _: len(value) <= _FREE,
    "<label>": _matches(re.compile(r"[A-Za-z0-9_.:+,-]{0,256}\Z")),
    "<name>": _matches(_NAME),
    "<zone>": _matches(_ZONE),
    "<emulator>": _matches(_EMULATOR),
    "<firmware>": _firmware,
    "<nvram>": _nvram,
    "<image>": _image,
    "<nbd>": _nbd,
    "<ours>": lambda value, setting: value in setting.ours,
    "<port>": _port,
    "<pts>": _matches(_PTS),
    "<log>": _log,
    "<socket>": _socket,
    "<loopback>": _in(_LOOPBACK),
    "<entropy>": _in(_ENTROPY),
}
