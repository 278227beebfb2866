"""Makes, serves and looks at disk images on a machine, by qemu-img and qemu-nbd.

Sent to the machine by labpanel.adapters.ssh.session. Every export lives as long as the panel's
connection. A file that exists is never written over: an image is made under a name of its own and
linked to its final name, which fails if that is taken.
"""

import contextlib
import ctypes
import json
import os
import re
import shutil
import stat
import subprocess
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from labpanel.lib.folder_room import FolderRoom
from labpanel.onhost.images import aside, image_look, layers, made
from labpanel.onhost.images.layers import Stack
from labpanel.onhost.looks.having import having
from labpanel.onhost.runtime import confined
from labpanel.onhost.runtime.wire import Problem, folder, on_leaving, run, serve

START_SECONDS = 20
STOP_SECONDS = 110  # the panel waits for 120 s
SHARED = 16  # connections to one export; the mover opens one for each of its threads
WRITE_OUT_SECONDS = 1
_WRITE = ctypes.c_uint(2)  # SYNC_FILE_RANGE_WRITE, sync_file_range(2)
_libc = ctypes.CDLL(None)
_LOCKED = re.compile(r'" lock|to lock')  # QEMU 7.2, block/file-posix.c: raw_check_lock_bytes
_NODE = re.compile(r"^.*'json:\{.*\}': ")  # QEMU repeats the whole chain before it says why
_state: dict[str, Any] = {"folder": "", "servers": {}, "count": 0}


def sockets() -> str:
    """The private folder for this connection's sockets."""
    if not _state["folder"]:
        _state["folder"] = folder()
        on_leaving(stop_all)
    return str(_state["folder"])


def size(path: str, image_format: str) -> int:
    """An image's virtual size in bytes, without taking its lock."""
    words = ["qemu-img", "info", "-U", "--output=json"]
    with layers.top(path, image_format) as image:
        said = layers.tool(words, image, code="unreadable", what=f"{path} cannot be opened")
    return int(json.loads(said)["virtual-size"])


def stamps(paths: list[str]) -> list[list[int]]:
    """Modification time (ns) and size of each file."""
    found = [Path(path).stat() for path in paths]
    return [[status.st_mtime_ns, status.st_size] for status in found]


def create(path: str, image_format: str, virtual_bytes: int) -> None:
    """Make an empty image under a name that must not exist yet."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    words = ["qemu-img", "create", "-q", "-f", image_format, "--", path, str(virtual_bytes)]
    run(words, "create", f"{path} could not be made")


def serve_image(
    name: str,
    path: str,
    image_format: str,
    *,
    writable: bool,
    bitmap: str = "",
    below: dict[str, Any] | None = None,
) -> str:
    """Export an image as `name` on a unix socket of its own, with one of its persistent dirty
    bitmaps if `bitmap` names it; the socket's path. It stands on its own, unless `below` says what
    a VM's disk may be based on (the `named` and `folders` of layers.of_vm)."""
    stack = (
        layers.own(path, image_format)
        if below is None
        else layers.of_vm(path, image_format, **below)
    )
    return serve_stack(name, stack, writable=writable, bitmap=bitmap)


def serve_stack(name: str, stack: Stack, *, writable: bool, bitmap: str = "") -> str:
    """Export an opened chain, which is closed here: QEMU has its own descriptors."""
    with stack:
        node = stack.node()
        if not writable:
            # A VM that starts meanwhile must win: no lock is held, and the panel sees the start.
            node["force-share"] = True
        return _export(name, node, stack, writable=writable, bitmap=bitmap)


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
        packed = {"driver": "compress", "file": image}
        path = _export(name, packed, Stack([]), writable=True, places=[socket])
        return {"socket": path, "name": name, "plain": name}
    plain = f"{name}-plain"
    nodes: list[dict[str, Any]] = [
        {**image, "node-name": "image"},
        {"driver": "compress", "node-name": "packed", "file": "image"},
    ]
    both = _export_both(nodes, name, plain, socket)
    return {"socket": both, "name": name, "plain": plain}


def _export_both(nodes: list[dict[str, Any]], name: str, plain: str, source: str) -> str:
    socket = _next_socket()
    words = ["qemu-storage-daemon", f"--pidfile={socket}.pid"]
    for node in nodes:
        words += ["--blockdev", json.dumps(node)]
    listen = {"addr": {"type": "unix", "path": socket}, "max-connections": 0}
    words += ["--nbd-server", json.dumps(listen)]
    for export, node_name in ((name, "packed"), (plain, "image")):
        about = {"type": "nbd", "id": node_name, "node-name": node_name, "name": export}
        words += ["--export", json.dumps({**about, "writable": True})]
    return _started(words, socket, name, Stack([]), places=[source])


def _next_socket() -> str:
    """In a folder of its own, which is all of this place that the server can reach."""
    _state["count"] += 1
    place = f"{sockets()}/{_state['count']}"
    Path(place).mkdir(mode=0o700)
    return f"{place}/nbd"


def serve_packing(name: str, stack: Stack) -> str:
    """Export a qcow2 image of this machine so that what is written to it is compressed. The stack
    is closed here."""
    with stack:
        packed = {"driver": "compress", "file": stack.node()}
        return _export(name, packed, stack, writable=True)


def _export(
    name: str,
    node: dict[str, Any],
    stack: Stack,
    *,
    writable: bool,
    bitmap: str = "",
    places: Sequence[str] = (),
) -> str:
    socket = _next_socket()
    words = ["qemu-nbd", "-t", "-k", socket, f"--pid-file={socket}.pid", "-x", name]
    words += [f"--shared={SHARED}"]
    words += ["--cache=writeback", "--discard=unmap"] if writable else ["-r"]
    words += ["-B", bitmap] if bitmap else []
    changed = stack.handles[:1] if writable else ()
    words += [f"json:{json.dumps(node)}"]
    started = _started(words, socket, name, stack, changed, places)
    if writable and stack.layers and stat.S_ISREG(os.fstat(stack.handles[0]).st_mode):
        handle = os.dup(stack.handles[0])
        threading.Thread(target=_write_out, args=(handle, started), daemon=True).start()
    return started


def _write_out(handle: int, socket: str) -> None:
    """Begin writing to the disk what was filled in so far, again and again, so that the sync at the
    end finds little left. It waits for nothing, and does not consume the write errors that sync
    reports."""
    while socket in _state["servers"]:
        _libc.sync_file_range(handle, ctypes.c_int64(0), ctypes.c_int64(0), _WRITE)
        time.sleep(WRITE_OUT_SECONDS)
    os.close(handle)


def _started(
    words: list[str],
    socket: str,
    name: str,
    stack: Stack,
    writable: Collection[int] = (),
    places: Sequence[str] = (),
) -> str:
    reach = confined.OpenFiles(stack.handles, writable, [str(Path(socket).parent), *places])
    with open(f"{socket}.log", "wb") as log:  # noqa: PTH123 - a pipe would fill up and block it
        try:
            server = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=stack.handles,
                preexec_fn=confined.before(reach),
            )
        except subprocess.SubprocessError as error:
            what = stack.layers[0].path if stack.layers else name
            raise Problem(
                "unreadable", f"{what} cannot be opened: it was exchanged meanwhile"
            ) from error
    _await(server, socket, name, stack)
    _state["servers"][socket] = server
    return socket


def _await(server: "subprocess.Popen[bytes]", socket: str, name: str, stack: Stack) -> None:
    until = time.monotonic() + START_SECONDS + len(stack.layers) / 2
    written = Path(f"{socket}.pid")  # the socket alone is made before the image is opened
    while not (written.exists() and written.stat().st_size):
        if server.poll() is not None or time.monotonic() > until:
            server.kill()
            server.wait()
            text = Path(f"{socket}.log").read_text("utf-8", "replace").strip() or "no answer"
            code = "locked" if _LOCKED.search(text) else "unreadable"
            what = stack.layers[0].path if stack.layers else name
            said = _NODE.sub("", stack.named(text.splitlines()[0]))
            raise Problem(code, f"{what} cannot be opened: {said}")
        time.sleep(0.01)


def stop(socket: str) -> None:
    """End one server; it writes out what it holds before it goes."""
    server = _state["servers"].pop(socket)
    for _ in range(STOP_SECONDS):
        # Again each second: one that came right after the start is forgotten (QEMU 7.2, qemu-nbd.c:
        # the state becomes RUNNING after the file with its process number was written).
        server.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(timeout=1)
            Path(socket).unlink(missing_ok=True)
            return
    server.kill()
    raise Problem("stuck", f"QEMU did not finish writing within {STOP_SECONDS} s.")


def stop_all() -> None:
    for server in _state["servers"].values():
        server.terminate()
    _state["servers"].clear()


def check(path: str, image_format: str) -> None:
    """`qemu-img check` of a qcow2 image: 0 is clean, 3 only leaked clusters."""
    with layers.top(path, image_format) as image:
        check_stack(image)


def check_stack(image: Stack) -> None:
    """The same of an opened image; what it may be based on is not looked at."""
    what = f"{image.layers[0].path} is damaged"
    words = ["qemu-img", "check", "-q"]
    layers.tool(words, Stack(image.layers[:1]), code="damaged", what=what, ok=(0, 3))


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


def room(path: str) -> dict[str, str | int]:
    """The fields of `room_at`."""
    return asdict(room_at(path))


def room_at(path: str) -> FolderRoom:
    """Of the nearest existing folder of `path`."""
    here = Path(path)
    while not here.is_dir():
        here = here.parent
    usage = shutil.disk_usage(here)
    return FolderRoom(
        path=str(here),
        available_bytes=usage.free,
        size_bytes=usage.total,
        device=here.stat().st_dev,
        writable=os.access(here, os.W_OK),
    )


def existing(paths: list[str]) -> list[str]:
    return [path for path in paths if Path(path).exists()]


def domain_folder(domain_id: int) -> str:
    """libvirt's private folder of a running domain, where QEMU may make a socket under any user
    and AppArmor profile (virt-aa-helper allows it). Empty if there is none."""
    found = sorted(Path("/var/lib/libvirt/qemu").glob(f"domain-{domain_id}-*"))
    return str(found[0]) if found else ""


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
    "having": having,
    "domain_folder": domain_folder,
    "takes_writes": aside.takes_writes,
    "make_aside": aside.make,
    "remove_aside": aside.remove,
    "based_on": image_look.based_on,
    **made.VERBS,
}


def main() -> None:
    serve(VERBS)
