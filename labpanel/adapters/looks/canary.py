"""One look at a machine's file systems, by onhost/looks/canary.py, held to its shape."""

import json
from collections.abc import Sequence
from typing import Any

from labpanel.adapters.answers import safe_json
from labpanel.adapters.errors import AdapterError
from labpanel.adapters.ssh.machine import Machine
from labpanel.adapters.ssh.session import run_bundle
from labpanel.lib import closed
from labpanel.lib.closed import Aside, Odd
from labpanel.lib.shapes import Endpoint

PROGRAM = "looks.canary"
# One step of a probe; what shares a disk goes one after another (onhost/looks/turns.py).
PROBE_SECONDS = 12
DEADLINE = 26
_MOST_MOUNTS, _MOST_PROBES, _MOST_PATH = 1024, 64, 4096
_LONGEST = 3600  # seconds
_LATEST = 2**34  # seconds since 1970: the year 2514
_OUTCOMES = frozenset(
    {
        "ok",
        "read-only",
        "io-error",
        "full",
        "timeout",
        "mismatch",
        "missing",
        "denied",
        "failed",
        "not-reached",
    }
)
_TIMES = ("first_error_time", "last_error_time")


def look(endpoint: Endpoint, folders: Sequence[str]) -> dict[str, Any]:
    """The script's answer (its docstring has the shape), and "odd": sentences on what was put
    aside. Raises an AdapterError."""
    asked = json.dumps({"folders": list(folders), "seconds": PROBE_SECONDS})
    output = run_bundle(Machine(endpoint), PROGRAM, [asked], deadline=DEADLINE)
    try:
        return read(safe_json.parse(output.stdout), endpoint.name)
    except (safe_json.UnsafeJson, Odd) as error:
        raise AdapterError(
            f"The health check of {endpoint.name} gave no usable answer.", output.text[:2000]
        ) from error


def read(answer: object, host: str) -> dict[str, Any]:
    """The script's JSON, every value of its type and range. Raises Odd when it is another thing."""
    said, aside = closed.entries(answer, "answer"), Aside(host)
    mounts = closed.items(closed.of(said, "mounts"), "file systems", most=_MOST_MOUNTS)
    probes = closed.items(closed.of(said, "probes"), "probes", most=_MOST_PROBES)
    accounts = closed.entries(closed.of(said, "ext4"), "errors", most=_MOST_MOUNTS).items()
    now = closed.number(closed.of(said, "now"), "clock", most=_LATEST)
    return {
        "now": now,
        "mounts": list(closed.each(mounts, "file system", _mount, aside)),
        "ext4": dict(closed.each(accounts, "ext4 number", _account, aside)),
        "probes": list(closed.each(probes, "probe of", _probe, aside)),
        "odd": aside.sentences,
    }


def _mount(answer: object) -> dict[str, Any]:
    said = closed.entries(answer, "answer")
    others = closed.items(closed.of(said, "also"), "other mount points", most=_MOST_MOUNTS)
    words = {
        name: closed.text(closed.of(said, name), name.replace("_", " "), most=most)
        for name, most in (
            ("mount_point", _MOST_PATH),
            ("source", _MOST_PATH),
            ("device", 64),
            ("number", 32),
            ("fstype", 32),
            ("options", _MOST_PATH),
            ("super", _MOST_PATH),
        )
    }
    also = [closed.text(other, "other mount point", most=_MOST_PATH) for other in others]
    return {**words, "also": also}


def _account(answer: object) -> tuple[str, dict[str, int | str]]:
    """What an ext4 counted, by its device."""
    assert isinstance(answer, tuple)
    device = closed.text(answer[0], "device", most=64)
    values: dict[str, int | str] = {}
    for name, value in closed.entries(answer[1], "errors", most=32).items():
        if name == "errors_count":
            values[name] = closed.whole(value, "number of errors")
        elif name in _TIMES:
            values[name] = closed.whole(value, "time of an error", most=_LATEST)
        elif isinstance(value, str):
            values[closed.text(name, "name", most=64)] = closed.text(value, "error", most=255)
        else:
            values[closed.text(name, "name", most=64)] = closed.whole(value, "error")
    if "errors_count" not in values:
        raise Odd("its number of errors is missing")
    return device, values


def _probe(answer: object) -> dict[str, Any]:
    said = closed.entries(answer, "answer")
    outcome = closed.text(closed.of(said, "outcome"), "outcome", most=16)
    if outcome not in _OUTCOMES:
        raise Odd("its outcome is none that there is")
    seconds, room = said.get("seconds"), said.get("room")
    return {
        "folder": closed.text(closed.of(said, "folder"), "folder", most=_MOST_PATH),
        "mount_point": closed.text(closed.of(said, "mount_point"), "mount point", most=_MOST_PATH),
        "outcome": outcome,
        "error": closed.text(closed.of(said, "error"), "error", most=32),
        "detail": closed.text(closed.of(said, "detail"), "detail", most=500),
        "seconds": None if seconds is None else closed.number(seconds, "time", most=_LONGEST),
        "room": None if room is None else _room(room),
    }


def _room(answer: object) -> dict[str, int]:
    said = closed.entries(answer, "room")
    return {
        name: closed.whole(closed.of(said, name), name.replace("_", " "))
        for name in ("size", "available", "files", "files_free")
    }
