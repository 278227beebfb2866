"""Guards a guest on its own host while a backup of it is open. Standard library and virsh only.

What the guest overwrites meanwhile goes into scratch files, and one that cannot grow breaks the
guest's writes, not the backup. So the backup is ended here, by what those files really take and
what is free beside them, also when the panel and the network are gone: the script ends when the
panel falls silent (wire.py), and its last act is to thaw the guest and end the backup.
"""

import html
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from typing import Any

from labpanel.onhost.images import source
from labpanel.onhost.runtime.wire import Problem, die_with_parent, on_leaving, serve

LOOK_SECONDS = 0.1
VIRSH_SECONDS = 20
_state: dict[str, Any] = {"on": False, "frozen": False, "tripped": ""}
_lock = threading.Lock()


def begin(
    uuid: str, mark: str, files: list[str], limit_bytes: int, place: str, floor_bytes: int
) -> None:
    """Guard from now on. The backup is ours if its description holds `mark`. It is ended when the
    `files` take more than `limit_bytes` or less than `floor_bytes` are free in `place`."""
    if shutil.which("virsh") is None:
        raise Problem(
            "missing-tool",
            "virsh is not installed on the VM's host, and without it nothing ends a backup "
            "before it harms the VM: apt install libvirt-clients.",
        )
    _state.update(
        on=True,
        frozen=True,
        uuid=uuid,
        mark=mark,
        files=files,
        limit=limit_bytes,
        place=place,
        floor=floor_bytes,
    )
    on_leaving(_leave)
    threading.Thread(target=_watch, daemon=True).start()


def thawed() -> None:
    """The guest is known to be thawed: from now on nothing needs to be done about it."""
    _state["frozen"] = False


def look() -> str:
    """Why the backup was ended: scratch (the files took too much), room (too little was free),
    blind (the file system cannot be looked at); empty if it was not."""
    return str(_state["tripped"])


def release() -> str:
    """The backup is closed: guard no more. What `look` says."""
    _state["on"] = False
    return look()


def taken() -> int:
    """Bytes that the files take on their file system, whatever their apparent size."""
    total = 0
    for path in _state["files"]:
        try:
            total += os.stat(path).st_blocks * 512  # noqa: PTH116
        except OSError:
            continue  # not made yet, or gone with the backup
    return total


def free() -> int:
    status = os.statvfs(_state["place"])
    return status.f_bavail * status.f_frsize


def _watch() -> None:
    while _state["on"] and not _state["tripped"]:
        _state["tripped"] = _judged()
        if _state["tripped"]:
            _end()
        time.sleep(LOOK_SECONDS)


def _judged() -> str:
    try:
        if taken() > _state["limit"]:
            return "scratch"
        return "room" if free() < _state["floor"] else ""
    except OSError:
        return "blind"


def _leave() -> None:
    if not _state["on"]:
        return
    if _state["frozen"]:
        _virsh("domfsthaw", _state["uuid"])
    _end()


def _end() -> None:
    """End the backup if it is ours, and let a guest go on that a full file had stopped."""
    with _lock:
        uuid = _state["uuid"]
        if _state["mark"] not in html.unescape(_virsh("backup-dumpxml", uuid)):
            return
        _virsh("domjobabort", uuid)
        if "I/O error" in _virsh("domstate", uuid, "--reason"):
            _virsh("resume", uuid)


def _virsh(verb: str, uuid: str, *more: str) -> str:
    """One command's output; empty if it failed: there is no caller left to tell."""
    words = ["virsh", "-q", "-c", "qemu:///system", verb, uuid, *more]
    try:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=VIRSH_SECONDS,
            check=False,
            preexec_fn=die_with_parent,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace")


VERBS: dict[str, Callable[..., Any]] = {
    **source.VERBS,
    "guard": begin,
    "thawed": thawed,
    "look": look,
    "release": release,
}


def main() -> None:
    serve(VERBS)
