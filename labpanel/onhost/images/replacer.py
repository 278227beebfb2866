"""Puts new images in the place of a shut-off VM's and keeps the old ones. Standard library only.

Sent to the host by labpanel.adapters.ssh.session. No file is written over and none removed: an
image gets its name by a link, which fails if that is taken, or takes the place of one that already
has its other name.
"""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from labpanel.onhost.images import layers, qcow2
from labpanel.onhost.runtime.wire import Problem, run, serve


def begin(old: str, new: str, image_format: str, virtual_bytes: int) -> dict[str, Any]:
    """Make `new`, which must not exist, from a copy of `old` if that can be read, else empty:
    `{"copied", "why_not"}`. It gets the size and what the old file has of owner and mode."""
    os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    why_not = ""
    try:
        _copy(old, new, image_format, virtual_bytes)
    except (Problem, OSError) as error:
        if getattr(error, "code", "") == "full":
            raise
        why_not = str(error)
        Path(new).write_bytes(b"")
        words = ["qemu-img", "create", "-q", "-f", image_format, "--", new, str(virtual_bytes)]
        run(words, "create", f"{new} could not be made")
    if Path(old).exists():
        status = Path(old).stat()
        os.chown(new, status.st_uid, status.st_gid)
        Path(new).chmod(status.st_mode & 0o777)
    return {"copied": not why_not, "why_not": why_not}


def _copy(old: str, new: str, image_format: str, virtual_bytes: int) -> None:
    with layers.of_vm(old, image_format) as stack:  # what the VM has is an overlay else, of no use
        if image_format == "qcow2" and qcow2.header(stack.handles[0], old).corrupt:
            # Its copy bears the mark, too, and QEMU would not write to it.
            raise Problem("corrupt", f"QEMU has marked {old} as corrupt, so nothing of it is used.")
    words = ["cp", "--reflink=auto", "--sparse=always", "--", old, new]
    run(words, "copy", f"{old} could not be copied")
    with layers.own(new, image_format) as image:
        _fit(image, virtual_bytes)


def _fit(image: layers.Stack, virtual_bytes: int) -> None:
    new = image.layers[0].path
    info = _info(image)
    # What the guest wrote until now says nothing of the new content.
    for bitmap in info.get("format-specific", {}).get("data", {}).get("bitmaps", []):
        what = f"A bitmap of {new} could not be removed"
        words = ["qemu-img", "bitmap", "--remove"]
        named = str(bitmap["name"])
        layers.tool(words, image, named, code="copy", what=what, writable=True)
    if info["virtual-size"] != virtual_bytes:
        what = f"{new} could not be given its size"
        words = ["qemu-img", "resize", "-q", "--shrink"]
        layers.tool(words, image, str(virtual_bytes), code="copy", what=what, writable=True)


def _info(image: layers.Stack) -> dict[str, Any]:
    """Also a proof that no process writes to it: QEMU's lock is asked for."""
    what = f"{image.layers[0].path} is in use"
    said = layers.tool(["qemu-img", "info", "--output=json"], image, code="locked", what=what)
    found: dict[str, Any] = json.loads(said)
    return found


def room(path: str) -> dict[str, int]:
    """What the file takes, and what is free beside it, in bytes."""
    there = Path(path)
    taken = there.stat().st_blocks * 512 if there.exists() else 0
    return {"taken": taken, "free": shutil.disk_usage(there.parent).free}


def swap(pieces: list[dict[str, str]]) -> list[str]:
    """Give each `new` image the name `path`, and the one that has it the name `aside`; the asides.

    May be killed anywhere and done again. While not all are in place the first `path` does not
    exist, so that the VM cannot start with some of its disks old and some new.
    """
    todo = [piece for piece in pieces if Path(piece["new"]).exists()]
    for piece in todo:
        path = Path(piece["path"])
        if path.exists() and not Path(piece["aside"]).exists():
            with layers.top(str(path), piece["format"]) as image:
                _info(image)
    for piece in todo:
        there, aside = piece["path"], piece["aside"]
        if Path(there).exists() and not _is_one(there, aside, piece["new"]):
            _link(there, aside)
    if todo:
        _in_place(todo[0], todo[1:])
    for folder in {Path(piece["path"]).parent for piece in pieces}:
        _sync(folder)
    return [piece["aside"] for piece in pieces if Path(piece["aside"]).exists()]


def _in_place(first: dict[str, str], others: list[dict[str, str]]) -> None:
    if others and _is_one(first["path"], first["aside"]):
        Path(first["path"]).unlink()
        _sync(Path(first["path"]).parent)
    for piece in [*others, first]:
        _sync(Path(piece["new"]))
        if _is_one(piece["path"], piece["aside"]):
            Path(piece["new"]).replace(piece["path"])
            continue
        if not _is_one(piece["path"], piece["new"]):
            _link(piece["new"], piece["path"])
        Path(piece["new"]).unlink()


def _is_one(path: str, *others: str) -> bool:
    """Whether `path` is another name of one of the others."""
    there = Path(path)
    return there.exists() and any(Path(o).exists() and there.samefile(o) for o in others)


def _link(path: str, name: str) -> None:
    try:
        os.link(path, name)
    except FileExistsError:
        raise Problem("exists", f"{name} exists already; nothing was written over it.") from None


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


VERBS: dict[str, Callable[..., Any]] = {"begin": begin, "room": room, "swap": swap}


def main() -> None:
    serve(VERBS)
