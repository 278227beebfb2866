"""The place on a host where a generation is rehearsed: a scratch folder with overlays, and a folder
of sockets that lead to the store. Standard library only.

Both folders are made by this script, and go with it, however it ends (see wire.py). QEMU may run
under another user and under AppArmor: libvirt's profile of a VM lets it connect to sockets in
/run/libvirt whose name ends in `.tunnelmigrate.dest.<VM>` (virt-aa-helper), which is used here.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from labpanel.onhost.images import exporter
from labpanel.onhost.runtime.wire import Problem, on_leaving, run, serve

SOCKETS = "/run/libvirt"
CONSOLE = "console.log"
CONSOLE_BYTES = 64 << 10
_SCRATCH = re.compile(r"\.labpanel-rehearsal-[0-9]+-[0-9a-f]+\Z")
_SOCKETS = re.compile(r"/run/libvirt/labpanel-[A-Za-z0-9_]+\Z")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}\Z")
_state: dict[str, Any] = {}


def resources() -> dict[str, Any]:
    """What the machine can spare: memory in bytes (/proc/meminfo), CPUs, and KVM or not."""
    kib = {
        words[0]: int(words[1])
        for line in Path("/proc/meminfo").read_text("ascii").splitlines()
        if len(words := line.replace(":", "").split()) > 1
    }
    return {
        "memory_bytes": kib["MemTotal"] << 10,
        "available_bytes": kib["MemAvailable"] << 10,
        "cpus": os.cpu_count() or 1,
        "kvm": os.access("/dev/kvm", os.R_OK | os.W_OK),
    }


def set_up(scratch: str, domain: str, owner: list[int] | None) -> str:
    """Make the scratch folder (it must not be there) and one for sockets; the latter's path.

    `owner` is the user and group that QEMU runs under, who must reach what lies in them.
    """
    if not _SCRATCH.match(Path(scratch).name):
        raise Problem("path", f"{scratch} is not a name for a rehearsal's folder.")
    Path(scratch).mkdir(mode=0o711)
    on_leaving(lambda: shutil.rmtree(scratch, ignore_errors=True))
    Path(SOCKETS).mkdir(exist_ok=True)
    sockets = tempfile.mkdtemp(prefix="labpanel-", dir=SOCKETS)
    on_leaving(lambda: shutil.rmtree(sockets, ignore_errors=True))
    for folder in (scratch, sockets):
        os.chmod(folder, 0o711)  # noqa: PTH101, S103 - to pass through, not to list
    _state.update(scratch=scratch, sockets=sockets, domain=domain, owner=owner)
    return sockets


def tear_down() -> None:
    """Remove both folders, now that nothing uses them."""
    for folder in (_state["scratch"], _state["sockets"]):
        shutil.rmtree(folder, ignore_errors=True)


def _plain(name: str) -> str:
    """A name that leads nowhere else: of a disk, an export or a small file."""
    if not _NAME.match(name):
        raise Problem("path", f"{name!r} is not a name for a file of a rehearsal.")
    return name


def hand_over(name: str, socket: str) -> str:
    """Give QEMU its own name for a socket, in a place where it may connect; the new path."""
    path = f"{_state['sockets']}/{_plain(name)}.tunnelmigrate.dest.{_state['domain']}"
    os.link(socket, path)
    _give(path)
    return path


def overlay(name: str, virtual_bytes: int, socket: str, export: str) -> str:
    """Make an empty overlay over an NBD export, which is not opened here; its path."""
    path = f"{_state['scratch']}/{_plain(name)}.qcow2"
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    words = ["qemu-img", "create", "-q", "-f", "qcow2", "-u", "-F", "raw"]
    words += ["-b", f"nbd+unix:///{_plain(export)}?socket={socket}", "--", path, str(virtual_bytes)]
    run(words, "create", f"{path} could not be made")
    _give(path)
    return path


def give(name: str) -> None:
    """Let QEMU have a file that was put into the scratch folder."""
    _give(f"{_state['scratch']}/{_plain(name)}")


def used() -> int:
    """Bytes that the scratch folder takes on disk (stat(2) counts blocks of 512)."""
    taken = 0
    for place, _, names in os.walk(_state["scratch"]):
        for name in names:
            try:
                taken += Path(place, name).lstat().st_blocks * 512
            except FileNotFoundError:
                continue  # the appliance's own come and go
    return taken


def console() -> str:
    """The end of what the serial port wrote."""
    path = Path(_state["scratch"]) / CONSOLE
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - CONSOLE_BYTES))
        return file.read().decode("utf-8", "replace")


def clear(scratch: str, sockets: str) -> list[str]:
    """Remove what the script of a dead worker left, if it did; the folders that were there."""
    gone = []
    if not _SCRATCH.match(Path(scratch).name) or (sockets and not _SOCKETS.match(sockets)):
        raise Problem("path", f"{scratch} and {sockets} are no folders of a rehearsal.")
    for folder in filter(None, (scratch, sockets)):
        if Path(folder).is_dir():
            shutil.rmtree(folder)
            gone.append(folder)
    return gone


def _give(path: str) -> None:
    if _state["owner"] is not None:
        os.chown(path, *_state["owner"])


VERBS: dict[str, Callable[..., Any]] = {
    **exporter.VERBS,
    "resources": resources,
    "set_up": set_up,
    "tear_down": tear_down,
    "hand_over": hand_over,
    "overlay": overlay,
    "give": give,
    "used": used,
    "console": console,
    "clear": clear,
}


def main() -> None:
    serve(VERBS)
