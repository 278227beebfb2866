"""Keeps exports alive on a machine for days, without the panel. Standard library only.

A VM that runs on blocks of a generation needs two of these: on the store's machine the *lender*
(lender.py) exports the generation's images and holds its shared lock; on the VM's host the
*borrower* leads to the lender through the panel's tunnel, and lets reads wait while that is cut
(QEMU's own reconnect delay). It detaches itself; it ends when it is told to, or when the panel has
not asked for it for `patience` seconds. Its folder holds `pid`, `asked` and a log.

    begin FOLDER JSON    start it unless it runs; prints {"folder", "pid", "began", "bad"}
    end FOLDER           end it, and remove the folder; prints {"folder", "ended"}

A FOLDER that is not an absolute path is made in /run or, where that may not be written, in /tmp.
JSON: {"lock": path or "", "patience": seconds, "exports": [{"socket", "name", "vm", …}]}; `socket`
is a name in the folder, `vm` the VM whose QEMU shall own it, or "". A borrower's export has the
"node" that QEMU opens, a lender's what "stored" says. "bad" is what a lender would not hand out:
export → first bytes of blocks.
"""

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from labpanel.onhost.runtime import qemu_user
from labpanel.onhost.runtime.processes import started_at
from labpanel.onhost.runtime.wire import die_with_parent

START_SECONDS = 25
LOOK_SECONDS = 2
_NAME = re.compile(r"[A-Za-z0-9_.+-]{1,107}\Z")
BAD = "bad"

Child = subprocess.Popen[bytes]
Serve = Callable[[Path, dict[str, Any]], Child]


def begin(folder: Path, wanted: dict[str, Any], serve: Serve) -> dict[str, Any]:
    """Idempotent: one that runs already is left alone, and knows that it is still wanted."""
    for export in wanted["exports"]:
        if not _NAME.match(export["socket"]) or not _NAME.match(export["name"]):
            raise SystemExit(f"{export['socket']!r} is not a name for a socket.")
    # QEMU's user must get through to its socket, and is to find nothing else of use.
    folder.mkdir(mode=0o711, exist_ok=True)
    if folder.stat().st_uid != os.geteuid():
        raise SystemExit(f"{folder} belongs to another user.")
    (folder / "asked").touch()
    pid = running(folder)
    if pid:
        return {"pid": pid, "began": False, "bad": bad_blocks(folder)}
    handle = locked(wanted["lock"])
    for name in ("pid", "failed", BAD):
        (folder / name).unlink(missing_ok=True)
    if os.fork() == 0:
        detach(folder)
        attend(folder, wanted, serve)
    if handle is not None:
        os.close(handle)  # the child's copy holds the lock (flock(2): it goes with the last one)
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        if (folder / "failed").exists():
            raise SystemExit((folder / "failed").read_text("utf-8").strip())
        pid = running(folder)
        if pid:
            return {"pid": pid, "began": True, "bad": {}}
        time.sleep(0.02)
    raise SystemExit(f"The exports did not start within {START_SECONDS} s.")


def bad_blocks(folder: Path) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    if (folder / BAD).exists():
        for line in (folder / BAD).read_text("utf-8").splitlines():
            name, start = line.split()
            found.setdefault(name, []).append(int(start))
    return found


def locked(path: str) -> int | None:
    """The shared lock on a VM's generations, as onhost/store/locks.py takes it."""
    if not path:
        return None
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SystemExit(
            "The generations of this VM in this store are being worked on; try again when that "
            "is done."
        ) from None
    return handle


def detach(folder: Path) -> None:
    """A new session without the caller's standard files: SSH does not wait for it."""
    os.setsid()
    if os.fork():
        os._exit(0)
    os.chdir("/")
    log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    for number, handle in ((0, null), (1, log), (2, log)):
        os.dup2(handle, number)


def attend(folder: Path, wanted: dict[str, Any], serve: Serve) -> None:
    """Start the exports and stay. Never returns."""
    children: list[Child] = []
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        for export in wanted["exports"]:
            children.append(serve(folder, export))
        note(folder / "pid", f"{os.getpid()} {started_at(os.getpid())}")
        # Any change says that it was asked for; how long ago, a clock tells that cannot be set: a
        # VM runs on these exports, and the host's clock may jump.
        seen, since = asked_at(folder), time.monotonic()
        while all(child.poll() is None for child in children):
            time.sleep(LOOK_SECONDS)
            if asked_at(folder) != seen:
                seen, since = asked_at(folder), time.monotonic()
            if time.monotonic() - since > wanted["patience"]:
                break
    except Exception as error:  # noqa: BLE001 - the only way to tell anybody is a file
        note(folder / "failed", str(error))
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        for child in children:
            child.terminate()
        (folder / "pid").unlink(missing_ok=True)
        for export in wanted["exports"]:
            (folder / export["socket"]).unlink(missing_ok=True)
        os._exit(0)


def asked_at(folder: Path) -> int:
    return (folder / "asked").stat().st_mtime_ns


def borrow(folder: Path, export: dict[str, Any]) -> Child:
    """One export of a node that leads to the lender."""
    child = started(folder, export["socket"], export["name"], export["node"])
    if export["vm"]:
        os.chown(folder / export["socket"], *qemu_user.owner(export["vm"]))
    return child


def started(
    folder: Path,
    socket: str,
    name: str,
    node: dict[str, Any],
    handles: tuple[int, ...] = (),
    named: Callable[[str], str] = str,
    before: Callable[[], None] = die_with_parent,
) -> Child:
    """One qemu-nbd, whose socket listens when this returns; it inherits `handles`, `named` puts
    names for them into what it says, and `before` is what its process does first."""
    path, fresh = folder / socket, folder / f"{name}.pid"
    fresh.unlink(missing_ok=True)
    path.unlink(missing_ok=True)
    words = ["qemu-nbd", "-r", "-t", "--shared=0", "-k", str(path), "-x", name]
    child = subprocess.Popen(
        [*words, f"--pid-file={fresh}", f"json:{json.dumps(node)}"],
        stdin=subprocess.DEVNULL,
        preexec_fn=before,
        start_new_session=True,
        pass_fds=handles,
    )
    until = time.monotonic() + START_SECONDS
    while not fresh.exists():
        if child.poll() is not None or time.monotonic() > until:
            child.kill()
            text = (folder / "log").read_text("utf-8", "replace").strip() or "no answer"
            raise RuntimeError(f"{name} cannot be opened: {named(text.splitlines()[-1])}")
        time.sleep(0.01)
    return child


def note(path: Path, text: str) -> None:
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_text(text, "utf-8")
    fresh.replace(path)


def running(folder: Path) -> int:
    """The attendant's process id if it lives: never another's that got the same number."""
    try:
        pid, began = (folder / "pid").read_text("ascii").split()
    except (OSError, ValueError):
        return 0
    return int(pid) if started_at(int(pid)) == began else 0


def end(folder: Path) -> dict[str, Any]:
    pid = running(folder)
    if pid:
        os.kill(pid, signal.SIGTERM)
        until = time.monotonic() + START_SECONDS
        while running(folder) and time.monotonic() < until:
            time.sleep(0.02)
        if running(folder):
            os.kill(pid, signal.SIGKILL)  # its children die with it
    shutil.rmtree(folder, ignore_errors=True)
    return {"ended": bool(pid)}


def main(serve: Serve = borrow) -> None:
    base = Path("/run" if os.access("/run", os.W_OK) else "/tmp")  # noqa: S108 - owner is checked
    verb, folder = sys.argv[1], base / sys.argv[2]
    begins = verb == "begin"
    answer = begin(folder, json.loads(sys.argv[3]), serve) if begins else end(folder)
    print(json.dumps({"folder": str(folder), **answer}))
