"""Keeps qemu-nbd exports alive on a machine for days, without the panel. Standard library only.

A VM that runs on blocks of a generation needs two of these: on the store's machine the *lender*
exports the generation's images and holds its shared lock; on the VM's host the *borrower* leads to
the lender through the panel's tunnel, and lets reads wait while that is cut (QEMU's own reconnect
delay). Sent on standard input, it detaches itself; it ends when it is told to, or when the panel
has not asked for it for `patience` seconds. Its folder holds `pid`, `asked` and a log.

    begin FOLDER JSON    start it unless it runs; prints {"folder", "pid", "began"}
    end FOLDER           end it, and remove the folder; prints {"folder", "ended"}

A FOLDER that is no absolute path is made in /run or, where that may not be written, in /tmp.
JSON: {"lock": path or "", "patience": seconds, "exports": [{"socket", "name", "node", "vm"}]};
`socket` is a name in the folder, `vm` the VM whose QEMU shall own it, or "".
"""

import ctypes
import fcntl
import json
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

START_SECONDS = 25
LOOK_SECONDS = 2
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_libc = ctypes.CDLL(None)
_QEMU_USERS = ("libvirt-qemu", "qemu")


def begin(folder: Path, wanted: dict[str, Any]) -> dict[str, Any]:
    """Idempotent: whoever runs already is left alone, and knows that it is still wanted."""
    # QEMU's user must get through to its socket, and is to find nothing else of use.
    folder.mkdir(mode=0o711, exist_ok=True)
    if folder.stat().st_uid != os.geteuid():
        raise SystemExit(f"{folder} belongs to somebody else.")
    (folder / "asked").touch()
    pid = running(folder)
    if pid:
        return {"pid": pid, "began": False}
    handle = locked(wanted["lock"])
    for name in ("pid", "failed"):
        (folder / name).unlink(missing_ok=True)
    if os.fork() == 0:
        detach(folder)
        attend(folder, wanted)
    if handle is not None:
        os.close(handle)  # the child's copy holds the lock (flock(2): it goes with the last one)
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        if (folder / "failed").exists():
            raise SystemExit((folder / "failed").read_text("utf-8").strip())
        pid = running(folder)
        if pid:
            return {"pid": pid, "began": True}
        time.sleep(0.02)
    raise SystemExit(f"The exports did not start within {START_SECONDS} s.")


def locked(path: str) -> int | None:
    """The shared lock on a VM's generations, as scripts/locks.py takes it."""
    if not path:
        return None
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SystemExit(
            "The generations of this VM in this store are being worked on; try again when that "
            "is done."
        ) from None
    return handle


def detach(folder: Path) -> None:
    """A session of its own, with nobody's standard files: SSH does not wait for it."""
    os.setsid()
    if os.fork():
        os._exit(0)
    os.chdir("/")
    log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    for number, handle in ((0, null), (1, log), (2, log)):
        os.dup2(handle, number)


def attend(folder: Path, wanted: dict[str, Any]) -> None:
    """Start the exports and stay. Never returns."""
    children: list[subprocess.Popen[bytes]] = []
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        for export in wanted["exports"]:
            children.append(serve(folder, export))
        note(folder / "pid", f"{os.getpid()} {began_at(os.getpid())}")
        while all(child.poll() is None for child in children):
            time.sleep(LOOK_SECONDS)
            if time.time() - (folder / "asked").stat().st_mtime > wanted["patience"]:
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


def serve(folder: Path, export: dict[str, Any]) -> "subprocess.Popen[bytes]":
    """One qemu-nbd, whose socket has its name and its owner before anybody is told of it."""
    socket, fresh = folder / export["socket"], folder / f"{export['name']}.pid"
    fresh.unlink(missing_ok=True)
    socket.unlink(missing_ok=True)
    words = ["qemu-nbd", "-r", "-t", "--shared=0", "-k", str(socket), "-x", export["name"]]
    child = subprocess.Popen(
        [*words, f"--pid-file={fresh}", f"json:{json.dumps(export['node'])}"],
        stdin=subprocess.DEVNULL,
        preexec_fn=die_with_parent,
        start_new_session=True,
    )
    until = time.monotonic() + START_SECONDS
    while not fresh.exists():
        if child.poll() is not None or time.monotonic() > until:
            child.kill()
            text = (folder / "log").read_text("utf-8", "replace").strip() or "no answer"
            raise RuntimeError(f"{export['name']} cannot be opened: {text.splitlines()[-1]}")
        time.sleep(0.01)
    if export["vm"]:
        os.chown(socket, *owner(export["vm"]))
    return child


def owner(vm_name: str) -> tuple[int, int]:
    """The user that libvirt runs QEMU as: of this VM if it runs, else qemu.conf's, else the
    distribution's (as scripts/ground.py finds it)."""
    try:
        pid = int(Path(f"/run/libvirt/qemu/{vm_name}.pid").read_text("ascii"))
        status = Path(f"/proc/{pid}").stat()
    except (OSError, ValueError):
        return configured()
    return status.st_uid, status.st_gid


def configured() -> tuple[int, int]:
    try:
        text = Path("/etc/libvirt/qemu.conf").read_text("utf-8", "replace")
    except OSError:
        text = ""
    named = re.findall(r'^\s*user\s*=\s*"\+?([^"]*)"', text, re.MULTILINE)
    for name in [*named[-1:], *_QEMU_USERS]:
        if name.isdigit():
            return int(name), -1
        try:
            return pwd.getpwnam(name).pw_uid, -1
        except KeyError:
            continue
    return 0, 0


def die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def note(path: Path, text: str) -> None:
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_text(text, "utf-8")
    fresh.replace(path)


def began_at(pid: int) -> str:
    """The process's start in clock ticks since boot (proc(5), field 22); "" if it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]


def running(folder: Path) -> int:
    """The attendant's process id if it lives: never another's that got the same number."""
    try:
        pid, began = (folder / "pid").read_text("ascii").split()
    except (OSError, ValueError):
        return 0
    return int(pid) if began_at(int(pid)) == began else 0


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


def main() -> None:
    base = Path("/run" if os.access("/run", os.W_OK) else "/tmp")  # noqa: S108 - owner is checked
    verb, folder = sys.argv[1], base / sys.argv[2]
    answer = begin(folder, json.loads(sys.argv[3])) if verb == "begin" else end(folder)
    print(json.dumps({"folder": str(folder), **answer}))


if __name__ == "__main__":
    main()
