"""Makes, serves and looks at disk images on a machine, by qemu-img and qemu-nbd.

Sent to the machine by labpanel.adapters.script_session. Every export lives as long as the panel's
connection. A file that exists is never written over: an image is made under a name of its own and
linked to its final name, which fails if that is taken.
"""

import ctypes
import json
import os
import shutil
import socket as socketlib
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from labpanel.adapters.scripts.wire import (
    Problem,
    die_with_parent,
    folder,
    on_leaving,
    run,
    serve,
)

START_SECONDS = 20
SHARED = 16  # connections to one export; the mover opens one for each of its threads
WRITE_OUT_SECONDS = 1
_WRITE = ctypes.c_uint(2)  # SYNC_FILE_RANGE_WRITE, sync_file_range(2)
_libc = ctypes.CDLL(None)
_state: dict[str, Any] = {"folder": "", "servers": {}, "count": 0}


def sockets() -> str:
    """The private folder for this connection's sockets."""
    if not _state["folder"]:
        _state["folder"] = folder()
        on_leaving(stop_all)
    return str(_state["folder"])


def size(path: str, form: str) -> int:
    """An image's virtual size in bytes, without taking its lock."""
    words = ["qemu-img", "info", "-U", "-f", form, "--output=json", "--", path]
    answer = json.loads(run(words, "unreadable", f"{path} cannot be opened"))
    return int(answer["virtual-size"])


def stamps(paths: list[str]) -> list[list[int]]:
    """Modification time (ns) and size of each file."""
    found = [Path(path).stat() for path in paths]
    return [[status.st_mtime_ns, status.st_size] for status in found]


def create(path: str, form: str, virtual_bytes: int) -> None:
    """Make an empty image under a name that must not exist yet."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    words = ["qemu-img", "create", "-q", "-f", form, "--", path, str(virtual_bytes)]
    run(words, "create", f"{path} could not be made")


def serve_image(name: str, path: str, form: str, *, writable: bool, bitmap: str = "") -> str:
    """Export an image as `name` on a unix socket of its own, with one of its persistent dirty
    bitmaps if `bitmap` names it; the socket's path."""
    protocol = "host_device" if Path(path).is_block_device() else "file"
    node: dict[str, Any] = {"driver": form, "file": {"driver": protocol, "filename": path}}
    if not writable:
        # A VM that starts meanwhile must win: no lock is held, and the panel sees the start.
        node["force-share"] = True
    return _export(name, node, path, writable=writable, bitmap=bitmap)


def serve_compressing(name: str, socket: str, export: str) -> dict[str, str]:
    """Export `name` so that what is written to it is compressed here and stored by the NBD export
    behind `socket`, which holds the bytes of a qcow2 image: the wire carries compressed data.

    `{"socket", "name", "plain"}`; `plain` is a second export, past the compressor, for what does
    not compress. Where qemu-storage-daemon is missing both are the same.
    """
    server = {"type": "unix", "path": socket}
    file = {"driver": "nbd", "server": server, "export": export}
    # What the image backs on (its parent generation) is of no concern to whole blocks.
    image = {"driver": "qcow2", "file": file, "backing": None}
    if shutil.which("qemu-storage-daemon") is None:
        path = _export(name, {"driver": "compress", "file": image}, name, writable=True)
        return {"socket": path, "name": name, "plain": name}
    plain = f"{name}-plain"
    nodes: list[dict[str, Any]] = [
        {**image, "node-name": "image"},
        {"driver": "compress", "node-name": "packed", "file": "image"},
    ]
    return {"socket": _export_both(nodes, name, plain), "name": name, "plain": plain}


def _export_both(nodes: list[dict[str, Any]], name: str, plain: str) -> str:
    socket = _next_socket()
    words = ["qemu-storage-daemon", f"--pidfile={socket}.pid"]
    for node in nodes:
        words += ["--blockdev", json.dumps(node)]
    listen = {"addr": {"type": "unix", "path": socket}, "max-connections": 0}
    words += ["--nbd-server", json.dumps(listen)]
    for export, node_name in ((name, "packed"), (plain, "image")):
        about = {"type": "nbd", "id": node_name, "node-name": node_name, "name": export}
        words += ["--export", json.dumps({**about, "writable": True})]
    return _started(words, socket, name)


def _next_socket() -> str:
    _state["count"] += 1
    return f"{sockets()}/{_state['count']}"


def serve_packing(name: str, path: str) -> str:
    """Export a qcow2 image of this machine so that what is written to it is compressed."""
    image = {"driver": "qcow2", "file": {"driver": "file", "filename": path}}
    return _export(name, {"driver": "compress", "file": image}, path, writable=True)


def _export(name: str, node: dict[str, Any], what: str, *, writable: bool, bitmap: str = "") -> str:
    socket = _next_socket()
    words = ["qemu-nbd", "-t", "-k", socket, f"--pid-file={socket}.pid", "-x", name]
    words += [f"--shared={SHARED}"]
    words += ["--cache=writeback", "--discard=unmap"] if writable else ["-r"]
    words += ["-B", bitmap] if bitmap else []
    started = _started([*words, f"json:{json.dumps(node)}"], socket, what)
    if writable and Path(what).is_file():
        threading.Thread(target=_write_out, args=(what, started), daemon=True).start()
    return started


def _write_out(path: str, socket: str) -> None:
    """Begin writing to the disk what was filled in so far, again and again, so that the sync at the
    end finds little left. It waits for nothing, and takes no error away from that sync."""
    handle = os.open(path, os.O_RDONLY)
    while socket in _state["servers"]:
        _libc.sync_file_range(handle, ctypes.c_int64(0), ctypes.c_int64(0), _WRITE)
        time.sleep(WRITE_OUT_SECONDS)
    os.close(handle)


def _started(words: list[str], socket: str, what: str) -> str:
    with open(f"{socket}.log", "wb") as log:  # noqa: PTH123 - a pipe would fill up and block it
        server = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=die_with_parent,
        )
    _await(server, socket, what)
    _state["servers"][socket] = server
    return socket


def _await(server: "subprocess.Popen[bytes]", socket: str, path: str) -> None:
    until = time.monotonic() + START_SECONDS
    while not Path(f"{socket}.pid").exists():  # the socket alone is made before the image is opened
        if server.poll() is not None or time.monotonic() > until:
            server.kill()
            server.wait()
            text = Path(f"{socket}.log").read_text("utf-8", "replace").strip() or "no answer"
            code = "locked" if "lock" in text else "unreadable"
            raise Problem(code, f"{path} cannot be opened: {text.splitlines()[0]}")
        time.sleep(0.01)


def stop(socket: str) -> None:
    """End one server; it writes out what it holds before it goes."""
    server = _state["servers"].pop(socket)
    server.terminate()
    try:
        server.wait(timeout=120)
    except subprocess.TimeoutExpired:
        server.kill()
        raise Problem("stuck", "QEMU did not finish writing within 120 s.") from None
    Path(socket).unlink(missing_ok=True)


def stop_all() -> None:
    for server in _state["servers"].values():
        server.terminate()
    _state["servers"].clear()


def check(path: str, form: str) -> None:
    """`qemu-img check` of a qcow2 image: 0 is clean, 3 only leaked clusters."""
    words = ["qemu-img", "check", "-q", "-f", form, "--", path]
    run(words, "damaged", f"{path} is damaged", ok=(0, 3))


def place(partial: str, path: str) -> None:
    """Give a finished image its name; refused if that name is taken."""
    with open(partial, "rb") as file:  # noqa: PTH123 - os.fsync wants the descriptor
        os.fsync(file.fileno())
    try:
        os.link(partial, path)
    except FileExistsError:
        raise Problem("exists", f"{path} exists already; nothing was written over it.") from None
    Path(partial).unlink()
    handle = os.open(Path(path).parent, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove(paths: list[str]) -> list[str]:
    """Remove files that the panel made and wrote down as its own; those that were there."""
    gone = []
    for path in paths:
        try:
            Path(path).unlink()
        except FileNotFoundError:
            continue  # libvirt and QEMU remove what is theirs at the same time
        gone.append(path)
    return gone


def room(path: str) -> dict[str, Any]:
    """The nearest existing folder of `path`, its file system's free bytes and number."""
    here = Path(path)
    while not here.is_dir():
        here = here.parent
    usage = shutil.disk_usage(here)
    return {
        "path": str(here),
        "available_bytes": usage.free,
        "size_bytes": usage.total,
        "device": here.stat().st_dev,
        "writable": os.access(here, os.W_OK),
    }


def existing(paths: list[str]) -> list[str]:
    return [path for path in paths if Path(path).exists()]


def interfaces() -> list[str]:
    """Names of the machine's network interfaces, bridges among them."""
    return [name for _, name in socketlib.if_nameindex()]


def domain_folder(domain_id: int) -> str:
    """libvirt's private folder of a running domain, where QEMU may make a socket under any user
    and AppArmor profile (virt-aa-helper allows it). Empty if there is none."""
    found = sorted(Path("/var/lib/libvirt/qemu").glob(f"domain-{domain_id}-*"))
    return str(found[0]) if found else ""


def read_file(path: str) -> str:
    """A small file (NVRAM), as hexadecimal digits."""
    return Path(path).read_bytes().hex()


def write_file(path: str, content: str) -> None:
    """Make a small file; refused if it exists."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(bytes.fromhex(content))
        os.fsync(file.fileno())


VERBS: dict[str, Callable[..., Any]] = {
    "sockets": sockets,
    "size": size,
    "stamps": stamps,
    "create": create,
    "serve": serve_image,
    "serve_compressing": serve_compressing,
    "stop": stop,
    "check": check,
    "place": place,
    "remove": remove,
    "room": room,
    "existing": existing,
    "interfaces": interfaces,
    "domain_folder": domain_folder,
    "read_file": read_file,
    "write_file": write_file,
}


def main() -> None:
    serve(VERBS)
