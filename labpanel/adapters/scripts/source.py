"""What the source host of a backup knows of a VM's process, images and log. Only looks.

Sent to the host by labpanel.adapters.script_session, together with guard.py.
"""

import json
import os
import re
import stat
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from labpanel.adapters.scripts.wire import run

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
        status = Path(f"/proc/{pid}/stat").read_bytes()
    except (OSError, ValueError):
        return ""
    if uuid.encode() not in words:
        return ""
    # The name in brackets may hold blanks and brackets; field 22 is the start (proc(5)).
    ticks = int(status.rsplit(b")", 1)[1].split()[19])
    return f"{boot_id()}:{pid}:{ticks}"


def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()


def images(paths: list[list[str]]) -> list[dict[str, Any]]:
    """What is known of each [path, format] without taking the image's lock."""
    return [image(path, form) for path, form in paths]


def image(path: str, form: str) -> dict[str, Any]:
    words = ["qemu-img", "info", "-U", "--backing-chain", "-f", form, "--output=json", "--", path]
    chain = json.loads(run(words, "unreadable", f"{path} cannot be opened"))
    top = chain[0].get("format-specific", {}).get("data", {})
    found = [os.stat(link["filename"]) for link in chain if os.path.exists(link["filename"])]  # noqa: PTH116, PTH110
    plain = len(found) == len(chain) and all(stat.S_ISREG(one.st_mode) for one in found)
    outside = any("data-file" in link.get("format-specific", {}).get("data", {}) for link in chain)
    facts: dict[str, Any] = {
        "holds_bitmaps": form == "qcow2" and top.get("compat") == "1.1",
        "bitmaps": {one["name"]: "in-use" not in one["flags"] for one in top.get("bitmaps", [])},
    }
    if plain and not outside:
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
