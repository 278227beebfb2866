"""Work on file systems whose disks may hang: disks side by side, what shares one in turn.

Many folders on one disk, asked at once, would make each other slow until all seem to hang. Each
file system has a child of its own, since one that hangs in the kernel cannot be killed; the next
one of the same disk begins when it is done, or takes too long, so that none hides its neighbours.
"""

import json
import os
import select
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labpanel.onhost.looks import mountinfo
from labpanel.onhost.runtime import forked

NOT_REACHED = "not-reached"
# After this long no child begins another folder, and a disk's next file system begins anyway.
ENOUGH, NEXT = 6.0, 2.0
LEFT = 7.0  # beyond a step's own time, for what began late
_DEPTH = 12
Say = Callable[[dict[str, Any]], None]


@dataclass
class FileSystemWork:
    """What is to be done on one file system of `disk`. `name` is the file system's; `again`: what
    could not be read before."""

    disk: str
    folders: "list[str]" = field(default_factory=list)
    images: "list[str]" = field(default_factory=list)
    again: "list[dict[str, Any]]" = field(default_factory=list)
    turn: int = 0
    name: str = ""


Work = Callable[[FileSystemWork, Say, Callable[[], bool]], None]


@dataclass
class TurnChild:
    group: FileSystemWork
    pid: int
    pipe: int
    began: float
    step: float
    at: str = ""
    told: bytes = b""


def disk_of(number: str, source: str = "", depth: int = 0) -> str:
    """Names of the drives below maj:min; "" where none is known."""
    folder = Path("/sys/dev/block", number)
    if not folder.exists():
        if not source.startswith("/dev/"):
            return ""
        folder = Path("/sys/class/block", Path(source.split(":")[0]).name)
        if not folder.exists():
            return ""
    folder = folder.resolve()
    lower = sorted(path.name for path in folder.glob("slaves/*"))
    if lower and depth < _DEPTH:
        numbers = [Path("/sys/class/block", name, "dev").read_text().strip() for name in lower]
        return "+".join(sorted({disk_of(each, "", depth + 1) for each in numbers}))
    return folder.parent.name if (folder / "partition").exists() else folder.name


def by_file_system(folders: "list[str]", images: "list[str]") -> "list[FileSystemWork]":
    """Folders and images by the file system that they lie on, as far as the list of mounts tells
    without touching any of them."""
    mounts = mountinfo.read()
    found: dict[str, FileSystemWork] = {}
    for place, kind in [*((f, "folders") for f in folders), *((i, "images") for i in images)]:
        entry = mountinfo.holding(place, mounts)
        key = mountinfo.key(entry) if entry is not None else ""
        disk = disk_of(entry.number, entry.source) if entry is not None else ""
        getattr(found.setdefault(key, FileSystemWork(disk or key, name=key)), kind).append(place)
    return list(found.values())


def run(
    groups: "list[FileSystemWork]", work: Work, seconds: float
) -> "tuple[list[dict[str, Any]], list[dict[str, Any]]]":
    """What the children said of folders, and of blocks. A step that takes `seconds` has timed
    out."""
    waiting: dict[str, list[FileSystemWork]] = {}
    for group in groups:
        waiting.setdefault(group.disk, []).append(group)
    probes: list[dict[str, Any]] = []
    blocks: list[dict[str, Any]] = []
    children: dict[int, TurnChild] = {}
    end = time.monotonic() + seconds + LEFT
    while (waiting or children) and time.monotonic() < end:
        _begin(waiting, children, work)
        for pipe in select.select(list(children), [], [], 0.05)[0]:
            if not _hear(children[pipe], probes, blocks):
                one = children.pop(pipe)
                _close(one, kill=False)
                if one.at:
                    probes.append(_told(one.at, "failed", "the probe ended early"))
        for pipe, one in list(children.items()):
            if time.monotonic() - one.step > seconds:
                if one.at:
                    probes.append(_told(one.at, "timeout", f"no answer within {seconds:g} s"))
                _close(children.pop(pipe), kill=True)
    for one in children.values():
        _close(one, kill=True)
    told = {probe["folder"] for probe in probes}
    missed = [folder for group in groups for folder in group.folders if folder not in told]
    why = "its disk had no time for it"
    return [*probes, *(_told(folder, NOT_REACHED, why) for folder in missed)], blocks


def _begin(
    waiting: "dict[str, list[FileSystemWork]]", children: "dict[int, TurnChild]", work: Work
) -> None:
    """Start the next file system of each disk on which nothing began just now."""
    now = time.monotonic()
    for disk in list(waiting):
        if any(one.group.disk == disk and now - one.began < NEXT for one in children.values()):
            continue
        one = _start(waiting[disk].pop(0), work)
        children[one.pipe] = one
        if not waiting[disk]:
            del waiting[disk]


def _start(group: FileSystemWork, work: Work) -> TurnChild:
    pid, reader = forked.start(lambda writer: _in_child(group, writer, work))
    now = time.monotonic()
    return TurnChild(group, pid, reader, now, now)


def _in_child(group: FileSystemWork, writer: int, work: Work) -> None:
    began = time.monotonic()

    def say(message: dict[str, Any]) -> None:
        os.write(writer, json.dumps(message).encode() + b"\n")

    try:
        work(group, say, lambda: time.monotonic() - began > ENOUGH)
    except BaseException as error:  # noqa: BLE001 - the parent must hear of it
        say({"failed": repr(error)})


def _hear(one: TurnChild, probes: "list[dict[str, Any]]", blocks: "list[dict[str, Any]]") -> bool:
    """Read what a child said; whether it goes on."""
    chunk = os.read(one.pipe, 65536)
    one.told += chunk
    one.step = time.monotonic()
    *lines, one.told = one.told.split(b"\n")
    for line in lines:
        message = json.loads(line)
        if "begins" in message:
            one.at = message["begins"]
        elif "blocks" in message:
            blocks.append(message["blocks"])
        elif "folder" in message:
            probes.append(message)
            one.at = ""
        elif one.at:
            probes.append(_told(one.at, "failed", message.get("failed", "")))
    return bool(chunk)


def _close(one: TurnChild, *, kill: bool) -> None:
    os.close(one.pipe)
    if kill:
        os.kill(one.pid, signal.SIGKILL)
    # A child in the middle of a hung write cannot die; it is not waited for.
    os.waitpid(one.pid, os.WNOHANG if kill else 0)


def _told(folder: str, outcome: str, detail: str) -> "dict[str, Any]":
    return {
        "folder": folder,
        "outcome": outcome,
        "error": "",
        "detail": detail,
        "number": "",
        "seconds": None,
    }
