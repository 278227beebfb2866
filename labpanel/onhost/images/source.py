"""What the source host of a backup knows of a VM's process, images and log. Only looks.

Sent to the host by labpanel.adapters.ssh.session, together with guard.py.
"""

import json
import os
import re
import stat
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from labpanel.onhost.images import layers, marks
from labpanel.onhost.runtime.plain import file_number
from labpanel.onhost.runtime.processes import started_at
from labpanel.onhost.runtime.wire import Problem

PIDS = Path("/run/libvirt/qemu")
LOGS = Path("/var/log/libvirt/qemu")
TAIL = 1 << 20
_STAMP = re.compile(rb"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}\+0000): (starting up|shutting down)")


def boot(name: str, uuid: str) -> str:
    """The running QEMU process of a VM as "<boot id>:<pid>:<start ticks>"; empty if it was not
    found. The pid is libvirt's own note, held against the process's command line."""
    try:
        pid = int((PIDS / f"{name}.pid").read_text("ascii"))
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return ""
    ticks = started_at(pid)
    return f"{boot_id()}:{pid}:{ticks}" if ticks and uuid.encode() in words else ""


def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()


def images(asked: list[dict[str, Any]], *, running: bool) -> list[dict[str, Any]]:
    """What is known of each image {"path", "image_format", "below": as layers.of_vm takes} without
    taking its lock. Of a running VM QEMU itself has opened the chain: what we would not open is
    only not looked at."""
    return [
        _image(one["path"], one["image_format"], one["below"], running=running) for one in asked
    ]


def _image(path: str, image_format: str, below: dict[str, Any], *, running: bool) -> dict[str, Any]:
    try:
        with layers.of_vm(path, image_format, **below) as stack:
            return _facts(stack)
    except Problem:
        if not running or not os.access(path, os.R_OK):
            raise
        known = {**marks.of_header(path, image_format), "inode": _number(path)}
        return {"holds_bitmaps": False, "bitmaps": {}, **known}


def _number(path: str) -> int:
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return file_number(handle)
    finally:
        os.close(handle)


def _facts(stack: layers.Stack) -> dict[str, Any]:
    top = stack.layers[0]
    words, what = ["qemu-img", "info", "-U", "--output=json"], f"{top.path} cannot be opened"
    info = json.loads(layers.tool(words, layers.Stack([top]), code="unreadable", what=what))
    said = info.get("format-specific", {}).get("data", {})
    found = [os.fstat(handle) for handle in stack.handles]
    facts: dict[str, Any] = {
        "holds_bitmaps": top.image_format == "qcow2" and said.get("compat") == "1.1",
        "bitmaps": {one["name"]: "in-use" not in one["flags"] for one in said.get("bitmaps", [])},
        **marks.of_stack(stack),
        "below": [layer.path for layer in stack.layers[1:]],
        "inode": file_number(stack.handles[0]),
    }
    if all(stat.S_ISREG(one.st_mode) for one in found):
        facts["stamps"] = [
            number
            for one in found
            for number in (one.st_ino, one.st_size, one.st_mtime_ns, one.st_ctime_ns)
        ]
        facts["written_at"] = found[0].st_mtime_ns / 1e9
        facts["changed_at"] = found[0].st_ctime_ns / 1e9
    return facts


def last_run(name: str) -> dict[str, Any]:
    """When the VM's last process was started and ended by libvirt's log of it (see LastRun)."""
    facts: dict[str, Any] = {
        "boot_id": boot_id(),
        "booted_at": booted_at(),
        "ticks": os.sysconf("SC_CLK_TCK"),
    }
    try:
        with (LOGS / f"{name}.log").open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - TAIL))
            lines = log.read().split(b"\n")
    except OSError:
        return facts
    started = ended = 0.0
    for line in lines:
        found = _STAMP.match(line)
        if found is None:
            continue
        at = datetime.strptime(found[1].decode(), "%Y-%m-%d %H:%M:%S.%f%z").timestamp()
        if found[2] == b"starting up":
            started, ended = at, 0.0
        else:
            ended = at
    return {**facts, "started_at": started, "ended_at": ended}


def booted_at() -> float:
    for line in Path("/proc/stat").read_text("ascii").splitlines():
        if line.startswith("btime "):
            return float(line.split()[1])
    return 0.0


VERBS: dict[str, Callable[..., Any]] = {"boot": boot, "images": images, "last_run": last_run}
