"""A place on a host for files that QEMU writes while a backup is open, where the images' own file
system takes none. Standard library only.

Whether a place takes writes is not asked but tried, by a process of its own that is left behind if
it hangs, and as QEMU's user: what root can write to, QEMU often cannot.
"""

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from labpanel.onhost.runtime.wire import Problem, die_with_parent

TRY_SECONDS = 8
_PROBE = ".labpanel-probe"


def takes_writes(folder: str) -> str:
    """Why nothing can be written to a folder; empty if a file was written there, to the disk."""
    return _tried(folder, None)


def make(base: str, name: str, boot: str) -> str:
    """Make the folder `name` in `base`, of the user of the QEMU process ("<boot id>:<pid>:<start
    ticks>"), and prove that this user can write in it; its path. What was made and does not serve
    is removed again."""
    path, owner = f"{base.rstrip('/')}/{name}", _owner(boot)
    try:
        os.mkdir(path, 0o700)  # noqa: PTH102
    except OSError as error:
        raise Problem("not-writable", f"{base} takes no writes ({error.strerror})") from None
    try:
        if os.geteuid() == 0 and owner is not None:
            os.chown(path, *owner)
        else:
            # Of this user, since only root may give it away; QEMU's makes files in it.
            os.chmod(path, 0o1733)  # noqa: PTH101, S103
        why = _tried(path, owner)
    except OSError as error:
        why = error.strerror or "it failed"
    if why:
        remove(path)
        raise Problem("not-writable", f"{base} takes no writes of QEMU ({why})")
    return path


def remove(path: str) -> bool:
    """Remove a folder that `make` made, if nothing lies in it any more."""
    try:
        os.rmdir(path)  # noqa: PTH106
    except OSError:
        return False
    return True


def _owner(boot: str) -> "tuple[int, int] | None":
    """User and group of the process; None if it is not there any more."""
    try:
        status = os.stat(f"/proc/{int(boot.split(':')[1])}")  # noqa: PTH116
    except (OSError, IndexError, ValueError):
        return None
    return status.st_uid, status.st_gid


def _tried(folder: str, owner: "tuple[int, int] | None") -> str:
    """Write a block and sync it; why not, or empty. A try that hangs is left to itself."""
    path = f"{folder}/{_PROBE}-{os.getpid()}-{time.monotonic_ns()}"
    words = ["dd", "if=/dev/zero", f"of={path}", "bs=4096", "count=1", "conv=fsync,excl"]
    try:
        tried = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, "LC_ALL": "C"},
            preexec_fn=_as_user(owner),
        )
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    until = time.monotonic() + TRY_SECONDS
    while tried.poll() is None:
        if time.monotonic() > until:
            tried.kill()
            return f"a write hangs for more than {TRY_SECONDS} s"
        time.sleep(0.02)
    said = tried.stderr.read().decode("utf-8", "replace") if tried.stderr else ""
    if os.path.lexists(path):
        try:
            Path(path).unlink()
        except OSError as error:
            return error.strerror or "what was written cannot be removed"
    return "" if tried.returncode == 0 else _reason(said)


def _reason(said: str) -> str:
    """dd's last words, without the names: "dd: failed to open '/x': Read-only file system"."""
    lines = [line for line in said.splitlines() if line.startswith("dd:")]
    return lines[0].rsplit(": ", 1)[-1] if lines else "it failed"


def _as_user(owner: "tuple[int, int] | None") -> Callable[[], None]:
    def begin() -> None:
        die_with_parent()
        if owner is not None and os.geteuid() == 0:
            os.setgroups([])
            os.setgid(owner[1])
            os.setuid(owner[0])

    return begin
