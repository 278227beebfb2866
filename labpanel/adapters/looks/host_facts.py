"""What a machine says of itself, through onhost/looks/host_facts.py, with types."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from labpanel.adapters.answers import safe_json
from labpanel.adapters.errors import AdapterError, CommandFailed, Missing
from labpanel.adapters.ssh.machine import Machine
from labpanel.adapters.ssh.session import run_bundle
from labpanel.lib import closed
from labpanel.lib.closed import Aside, Odd
from labpanel.lib.identity import UNKNOWN, Identity
from labpanel.lib.shapes import LibvirtSocket
from labpanel.onhost.looks import host_facts as script

PROGRAM = "looks.host_facts"
DEADLINE = 15
_COMMAND_NOT_FOUND = 127  # POSIX shells
MAX_IMAGES = 200
MOST_MOUNTS, MOST_DRIVES, MOST_BELOW = 1024, 512, 256
MOST_PATH = 4096  # PATH_MAX (linux/limits.h)
_PROGRAMS = ("qemu-img", "qemu-nbd", "virsh", "smartctl")
_DAEMONS = ("libvirtd", "virtqemud")
# A kernel's name of a block device: sda, nvme0n1, cciss!c0d0.
_DEVICE = re.compile(r"[A-Za-z0-9_!.-]+")
# useradd(8); Samba's and SSSD's users have a domain or a backslash in it, which no command here is
# to carry.
UNNAMED = "$USER"
_IDENTITY = ("machine_id", "board_id", "network_id")
_HASH = re.compile(r"[0-9a-f]{32}")
_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.@-]{0,63}\$?")


@dataclass(frozen=True, slots=True)
class Drive:
    """A physical drive, in the words of its host's kernel."""

    name: str
    size_bytes: int
    rotational: bool
    model: str
    serial: str
    wwn: str


@dataclass(frozen=True, slots=True)
class Mount:
    """A real file system. Sizes are None when it did not answer in time.

    `below` is `[{"name", "type", "label"}]` from the partition or volume down to the drives.
    """

    mount_point: str
    also_at: tuple[str, ...]
    source: str
    fstype: str
    options: str
    size_bytes: int | None
    used_bytes: int | None
    available_bytes: int | None
    below: tuple[dict[str, str], ...]


@dataclass(frozen=True, slots=True)
class Tools:
    """What the panel needs of a host and whether it is there."""

    libvirt_daemon: str
    libvirt_socket: LibvirtSocket | None
    libvirt_allowed: bool
    qemu_img: bool
    qemu_nbd: bool
    virsh: bool
    smartctl: bool
    nbd: bool
    guestfs: bool
    user: str


@dataclass(frozen=True, slots=True)
class HostFacts:
    """`odd`: sentences on what was put aside."""

    kernel: str
    hostname: str
    boot_id: str
    cpus: int | None
    memory_bytes: int | None
    mounts: tuple[Mount, ...]
    drives: tuple[Drive, ...]
    tools: Tools
    real_paths: dict[str, str]
    identity: Identity = UNKNOWN
    odd: tuple[str, ...] = ()


def look(machine: Machine, images: Sequence[str] = ()) -> HostFacts:
    """Ask the machine. Raises an AdapterError; Missing when it has no Python."""
    name = machine.endpoint.name
    paths = [path for path in images if path.startswith("/")][:MAX_IMAGES]
    try:
        output = run_bundle(machine, PROGRAM, paths, deadline=DEADLINE)
    except CommandFailed as failed:
        if failed.status == _COMMAND_NOT_FOUND:
            sentence = f"{name} has no Python 3, which the panel needs there: apt install python3."
            raise Missing(sentence, failed.detail) from failed
        raise
    try:
        return read(safe_json.parse(output.stdout, f"The answer of {name}"), name)
    except Odd as odd:
        sentence = f"{name} gave an answer that makes no sense: {odd}."
        raise AdapterError(sentence, output.text[:2000]) from odd


def read(answer: object, host: str = "the host") -> HostFacts:
    """The script's JSON as values. Raises Odd when it is no answer of that script."""
    said = closed.entries(answer, "answer")
    aside = Aside(host)
    mounts = closed.items(closed.of(said, "mounts"), "file systems", most=MOST_MOUNTS)
    drives = closed.items(closed.of(said, "drives"), "drives", most=MOST_DRIVES)
    links = closed.entries(closed.of(said, "real_paths"), "links", most=MAX_IMAGES)
    pairs = closed.each(links.items(), "link number", _link, aside)
    return HostFacts(
        kernel=_word(said, "kernel", 120, aside),
        hostname=_word(said, "hostname", 255, aside),
        boot_id=_word(said, "boot_id", 40, aside),
        cpus=_count(said, "cpus", closed.MOST_COUNT, aside),
        memory_bytes=_count(said, "memory_bytes", closed.MOST_WHOLE, aside),
        mounts=closed.each(mounts, "file system", _mount, aside),
        drives=closed.each(drives, "drive", _drive, aside),
        tools=_tools(closed.of(said, "tools"), aside),
        real_paths={path: real for path, real in pairs if real and real != path},
        identity=Identity(*(_id(said, name, aside) for name in _IDENTITY)),
        odd=aside.sentences,
    )


def own_identity() -> Identity:
    """That of the machine, or container, in which this process runs."""
    found = script.identity()
    return Identity(*(found[name] for name in _IDENTITY))


def _id(said: dict[str, object], name: str, aside: Aside) -> str:
    word = _word(said, name, 64, aside) if said.get(name) else ""
    return word if _HASH.fullmatch(word) else ""


def _word(said: dict[str, object], name: str, most: int, aside: Aside) -> str:
    word = closed.kept(lambda: closed.text(closed.of(said, name), name, most=most), "system", aside)
    return word or ""


def _count(said: dict[str, object], name: str, most: int, aside: Aside) -> int | None:
    what = name.replace("_", " ")
    return closed.kept(
        lambda: closed.whole(closed.of(said, name), what, most=most), "system", aside
    )


def _link(answer: object) -> tuple[str, str]:
    """A path and the real one; empty where there is nothing."""
    assert isinstance(answer, tuple)
    path, said = closed.text(answer[0], "path", most=MOST_PATH), closed.entries(answer[1], "link")
    real = closed.text(closed.of(said, "path"), "real path", most=MOST_PATH)
    return path, real if closed.flag(closed.of(said, "exists"), "being there") else ""


def _mount(answer: object) -> Mount:
    said = closed.entries(answer, "answer")
    others = closed.items(closed.of(said, "also_at"), "other mount points", most=MOST_MOUNTS)
    below = closed.items(closed.of(said, "below"), "devices", most=MOST_BELOW)
    space = closed.of(said, "space")
    sizes = None if space is None else closed.entries(space, "space")
    return Mount(
        mount_point=_path(closed.of(said, "mount_point"), "mount point"),
        also_at=tuple(_path(other, "other mount point") for other in others),
        source=closed.text(closed.of(said, "source"), "source", most=MOST_PATH),
        fstype=closed.text(closed.of(said, "fstype"), "type", most=32),
        options=closed.text(closed.of(said, "options"), "options", most=MOST_PATH),
        size_bytes=_size(sizes, "size"),
        used_bytes=_size(sizes, "used"),
        available_bytes=_size(sizes, "available"),
        below=tuple(map(_node, below)),
    )


def _path(answer: object, what: str) -> str:
    path = closed.text(answer, what, most=MOST_PATH)
    if not path.startswith("/"):
        raise Odd(f"its {what} is not an absolute path")
    return path


def _size(sizes: dict[str, object] | None, name: str) -> int | None:
    return None if sizes is None else closed.whole(closed.of(sizes, name), f"{name} space")


def _node(answer: object) -> dict[str, str]:
    said = closed.entries(answer, "device")
    return {
        "name": closed.text(closed.of(said, "name"), "device's name", most=64),
        "type": closed.text(closed.of(said, "type"), "device's type", most=16),
        "label": closed.text(closed.of(said, "label"), "device's label", most=MOST_PATH),
    }


def _drive(answer: object) -> Drive:
    said = closed.entries(answer, "answer")
    name = closed.text(closed.of(said, "name"), "name", most=32)
    if not _DEVICE.fullmatch(name):
        raise Odd("its name is not a device's")
    return Drive(
        name=name,
        size_bytes=closed.whole(closed.of(said, "size"), "size"),
        rotational=closed.flag(closed.of(said, "rotational"), "rotation"),
        model=closed.text(closed.of(said, "model"), "model", most=128),
        serial=closed.text(closed.of(said, "serial"), "serial number", most=128),
        wwn=closed.text(closed.of(said, "wwn"), "WWN", most=128),
    )


def _tools(answer: object, aside: Aside) -> Tools:
    """The panel shows commands with some of these words in them, to be pasted into a root shell:
    only known ones count."""
    said = closed.entries(answer, "tools")
    words = {
        name: _word(said, name, MOST_PATH, aside)
        for name in ("libvirt_daemon", "libvirt_socket", "user", *_PROGRAMS)
    }
    socket = LibvirtSocket.known(words["libvirt_socket"])
    daemon = words["libvirt_daemon"] if words["libvirt_daemon"] in _DAEMONS else ""
    if words["libvirt_socket"] and socket is None:
        aside.put("libvirt", Odd("its socket is at no place that libvirt has"))
    if words["libvirt_daemon"] and not daemon:
        aside.put("libvirt", Odd("its daemon has a name that libvirt's never has"))
    user = words["user"] if _USER.fullmatch(words["user"]) else UNNAMED
    return Tools(
        libvirt_daemon=daemon,
        libvirt_socket=socket,
        libvirt_allowed=closed.flag(closed.of(said, "libvirt_allowed"), "access to libvirt"),
        qemu_img=bool(words["qemu-img"]),
        qemu_nbd=bool(words["qemu-nbd"]),
        virsh=bool(words["virsh"]),
        smartctl=bool(words["smartctl"]),
        nbd=closed.flag(closed.of(said, "nbd"), "nbd module"),
        guestfs=closed.flag(closed.of(said, "guestfs"), "guestfs module"),
        user=user,
    )
