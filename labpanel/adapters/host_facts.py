"""What a machine says of itself, through scripts/host_facts.py, with types."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labpanel.adapters.errors import AdapterError, CommandFailed, Missing
from labpanel.adapters.machine import Machine

SCRIPT = Path(__file__).parent / "scripts" / "host_facts.py"
DEADLINE = 15
_COMMAND_NOT_FOUND = 127  # POSIX shells
MAX_IMAGES = 200


@dataclass(frozen=True, slots=True)
class Drive:
    """A physical drive; `key` stays when it moves to another port."""

    name: str
    size_bytes: int
    rotational: bool
    model: str
    serial: str
    wwn: str

    @property
    def key(self) -> str:
        if self.wwn:
            return self.wwn
        return " ".join(filter(None, (self.model, self.serial))) or f"/dev/{self.name}"


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
    libvirt_socket: str
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
    kernel: str
    hostname: str
    boot_id: str
    cpus: int
    memory_bytes: int
    mounts: tuple[Mount, ...]
    drives: tuple[Drive, ...]
    tools: Tools
    real_paths: dict[str, str]


def look(machine: Machine, images: Sequence[str] = ()) -> HostFacts:
    """Ask the machine. Raises an AdapterError; Missing when it has no Python."""
    name = machine.endpoint.name
    paths = [path for path in images if path.startswith("/")][:MAX_IMAGES]
    try:
        output = machine.run_script(SCRIPT, paths, deadline=DEADLINE)
    except CommandFailed as failed:
        if failed.status == _COMMAND_NOT_FOUND:
            sentence = f"{name} has no Python 3, which the panel needs there: apt install python3."
            raise Missing(sentence, failed.detail) from failed
        raise
    try:
        return read(json.loads(output.text[output.text.index("{") :]))
    except (ValueError, KeyError, TypeError) as broken:
        # A login script that prints something of its own is cut off above; this is worse.
        raise AdapterError(f"{name} gave an answer that makes no sense.", output.text) from broken


def read(said: dict[str, Any]) -> HostFacts:
    """The script's JSON as values."""
    return HostFacts(
        kernel=said["kernel"],
        hostname=said["hostname"],
        boot_id=said["boot_id"],
        cpus=said["cpus"],
        memory_bytes=said["memory_bytes"],
        mounts=tuple(map(_mount, said["mounts"])),
        drives=tuple(map(_drive, said["drives"])),
        tools=_tools(said["tools"]),
        real_paths={
            path: real["path"]
            for path, real in said["real_paths"].items()
            if real["path"] != path and real["exists"]
        },
    )


def _mount(said: dict[str, Any]) -> Mount:
    space = said["space"] or {}
    return Mount(
        mount_point=said["mount_point"],
        also_at=tuple(said["also_at"]),
        source=said["source"],
        fstype=said["fstype"],
        options=said["options"],
        size_bytes=space.get("size"),
        used_bytes=space.get("used"),
        available_bytes=space.get("available"),
        below=tuple(said["below"]),
    )


def _drive(said: dict[str, Any]) -> Drive:
    return Drive(
        name=said["name"],
        size_bytes=said["size"],
        rotational=said["rotational"],
        model=said["model"],
        serial=said["serial"],
        wwn=said["wwn"],
    )


def _tools(said: dict[str, Any]) -> Tools:
    return Tools(
        libvirt_daemon=said["libvirt_daemon"],
        libvirt_socket=said["libvirt_socket"],
        libvirt_allowed=said["libvirt_allowed"],
        qemu_img=bool(said["qemu-img"]),
        qemu_nbd=bool(said["qemu-nbd"]),
        virsh=bool(said["virsh"]),
        smartctl=bool(said["smartctl"]),
        nbd=said["nbd"],
        guestfs=said["guestfs"],
        user=said["user"],
    )
