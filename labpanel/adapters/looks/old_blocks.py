"""A few old blocks of a machine's images: onhost/looks/old_blocks.py, held to its shape."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from labpanel.adapters.answers import safe_json
from labpanel.adapters.errors import AdapterError
from labpanel.adapters.ssh.machine import Machine
from labpanel.adapters.ssh.session import run_bundle
from labpanel.lib import closed
from labpanel.lib.closed import Aside, Odd
from labpanel.lib.shapes import Endpoint

PROGRAM = "looks.old_blocks"
# Two seconds of reading for each file system; what hangs is left behind after five.
DEADLINE = 20
MOST_IMAGES = 200
_MOST_PATH = 4096
_MOST_ANSWERS = 2000
_OUTCOMES = frozenset({"ok", "unreadable", "skipped"})


@dataclass(frozen=True, slots=True)
class Range:
    """Bytes of an image."""

    path: str
    first: int
    length: int


@dataclass(frozen=True, slots=True)
class OldBlockRead:
    """What came of it. `outcome`: ok, unreadable (from `first` on) or skipped; `bytes` were
    read."""

    range: Range
    outcome: str
    error: str
    bytes: int


def look(
    endpoint: Endpoint, images: Sequence[str], again: Sequence[Range], turn: int
) -> tuple[tuple[OldBlockRead, ...], tuple[str, ...]]:
    """A few ranges of one image for each file system, another one at each `turn`, and `again` what
    was bad before; and sentences on what was odd. Raises an AdapterError."""
    asked = {
        "images": list(images[:MOST_IMAGES]),
        "again": [asdict(each) for each in again],
        "turn": turn,
    }
    output = run_bundle(Machine(endpoint), PROGRAM, [json.dumps(asked)], deadline=DEADLINE)
    try:
        return read(safe_json.parse(output.stdout), endpoint.name, asked_for=frozenset(images))
    except (safe_json.UnsafeJson, Odd) as error:
        raise AdapterError(
            f"Reading old blocks on {endpoint.name} gave no usable answer.", output.text[:2000]
        ) from error


def read(
    answer: object, host: str, *, asked_for: frozenset[str]
) -> tuple[tuple[OldBlockRead, ...], tuple[str, ...]]:
    """The script's JSON. Raises Odd when it is another thing; one odd entry is put aside."""
    aside = Aside(host)
    rows = closed.items(
        closed.of(closed.entries(answer, "answer"), "blocks"), "blocks", most=_MOST_ANSWERS
    )
    found = closed.each(rows, "read of", lambda row: _read(row, asked_for), aside)
    return tuple(found), aside.sentences


def _read(answer: object, asked_for: frozenset[str]) -> OldBlockRead:
    said = closed.entries(answer, "answer")
    path = closed.text(closed.of(said, "path"), "path", most=_MOST_PATH)
    if path not in asked_for:
        raise Odd("its path is none that was asked for")
    outcome = closed.text(closed.of(said, "outcome"), "outcome", most=16)
    if outcome not in _OUTCOMES:
        raise Odd("its outcome is none that there is")
    numbers = {name: closed.whole(closed.of(said, name), name) for name in ("first", "length")}
    return OldBlockRead(
        range=Range(path, **numbers),
        outcome=outcome,
        error=closed.text(closed.of(said, "error"), "error", most=32),
        bytes=closed.whole(closed.of(said, "bytes"), "number of bytes"),
    )
