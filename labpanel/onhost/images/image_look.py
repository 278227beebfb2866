"""Looks at an image without QEMU. Standard library only.

Alone it prints a JSON list with a layer each from the top down: `{"filename", "virtual-size",
"actual-size", "inode"}`, sizes in bytes, the inode as plain.file_number has it. Headers are read
and nothing else; a chain is followed only through regular files and block devices, and what is
neither is named and left alone.
"""

import json
import os
import stat
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from labpanel.onhost.images import qcow2
from labpanel.onhost.images.layers import MOST_LAYERS
from labpanel.onhost.runtime.plain import file_number, refused
from labpanel.onhost.runtime.wire import Problem

_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
_SECTOR = 512


def chain(path: str, image_format: str) -> list[dict[str, Any]]:
    """Raises Problem if the topmost image cannot be read."""
    found: list[dict[str, Any]] = []
    while path and len(found) < MOST_LAYERS:
        try:
            layer, below, image_format = _layer(path, image_format)
        except Problem:
            if not found:
                raise
            layer, below = {"filename": path, "virtual-size": 0, "actual-size": 0}, ""
        found.append(layer)
        path = os.path.normpath(Path(path).parent / below) if below else ""
    return found


def based_on(files: Sequence[str], images: Sequence[Sequence[str]]) -> list[dict[str, str]]:
    """`[{"image", "file"}]`: which of the images ([path, format]) are one of these files, by
    whatever name, or have one in their chain. Raises Problem for an image that cannot be looked at;
    one that is not there is based on nothing."""
    ours = {key: path for path in files if (key := _key(path))}
    found = []
    for path, image_format in images:
        if _key(path) is None:
            continue
        names = [path]
        if image_format == "qcow2":
            names += [str(layer["filename"]) for layer in chain(path, image_format)[1:]]
        below = [ours[key] for name in names if (key := _key(name)) in ours]
        found += [{"image": path, "file": below[0]}] if below else []
    return found


def _key(path: str) -> tuple[int, int] | None:
    """Which file it is, links followed as QEMU does; None if there is none."""
    try:
        status = os.stat(path)  # noqa: PTH116
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise refused(path, error) from None
    return status.st_dev, status.st_ino


def _layer(path: str, image_format: str) -> tuple[dict[str, Any], str, str]:
    """One layer, and the name and format of what it is based on, empty for nothing."""
    try:
        handle = os.open(path, _FLAGS)
    except OSError as error:
        raise refused(path, error) from None
    try:
        status = os.fstat(handle)
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISBLK(status.st_mode)):
            raise refused(path, "it is neither a file nor a block device")
        if image_format == "qcow2":
            header = qcow2.header(handle, path)
            size, below, below_form = (
                header.virtual_bytes,
                header.backing_file,
                header.backing_format,
            )
        elif image_format == "raw":
            whole = os.lseek(handle, 0, os.SEEK_END)
            size, below, below_form = -(-whole // _SECTOR) * _SECTOR, "", ""  # as QEMU rounds it
        else:
            raise refused(path, f"its format is {image_format!r}, not raw or qcow2")
        number = file_number(handle)
    finally:
        os.close(handle)
    layer = {
        "filename": path,
        "virtual-size": size,
        "actual-size": status.st_blocks * _SECTOR,
        "inode": number,
    }
    return layer, below, below_form


def main() -> None:
    try:
        print(json.dumps(chain(sys.argv[1], sys.argv[2])))
    except Problem as problem:
        raise SystemExit(problem.sentence) from None
