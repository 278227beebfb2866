"""A copy of the panel itself: the names that it goes by and what it says of its own content.

Both come from a store or from a file of unknown origin: what does not fit exactly is refused with
one sentence. Standard library only.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

FORMAT = 1
KEEP = 7  # copies of one panel in one store
EVERY = timedelta(days=1)
# A copy dated later than this after now was made under a wrong clock: it has no age.
AHEAD = timedelta(hours=1)
MOST_BYTES = 8 * 2**30 - 1  # what ustar's size field holds: eleven octal digits (pax(1))
CONTENTS, DATABASE = "manifest.json", "database.sqlite3"
CONTENTS_BYTES = 64 * 1024
# What a panel consists of, in the order of the archive → the most bytes that each may have.
PARTS = {
    DATABASE: MOST_BYTES,
    "panel-id": 128,
    "secret.key": 4096,
    "manifest.key": 4096,
    "copy-key.json": 64 * 1024,
    "ssh/id_ed25519": 16 * 1024,
    "ssh/id_ed25519.pub": 16 * 1024,
}
_NAME = re.compile(r"[0-9]{8}T[0-9]{6}Z\.tar\Z")
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_SHAPE = "%Y%m%dT%H%M%SZ"


class NotACopy(ValueError):
    """The text is one sentence: why this is not a copy of a panel."""


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a panel. `sha256` is in hexadecimal digits."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Contents:
    """What a copy says of itself. `made_at` is aware."""

    made_at: datetime
    panel_id: str
    parts: tuple[Part, ...]

    @property
    def total_bytes(self) -> int:
        return sum(part.size for part in self.parts)

    def as_text(self) -> str:
        value = {
            "format": FORMAT,
            "made_at": self.made_at.isoformat(),
            "panel_id": self.panel_id,
            "parts": [asdict(part) for part in self.parts],
        }
        return json.dumps(value, indent=1, sort_keys=True) + "\n"


def parse_contents(text: bytes) -> Contents:
    """Raises NotACopy unless every field is what `as_text` writes."""
    if len(text) > CONTENTS_BYTES:
        raise NotACopy(f"{CONTENTS} of this copy is larger than {CONTENTS_BYTES} bytes.")
    try:
        value = json.loads(text)
        if value["format"] != FORMAT:
            raise NotACopy("This copy was made by another version of labpanel: update this one.")
        if value.keys() != {"format", "made_at", "panel_id", "parts"}:
            raise ValueError(sorted(value))
        made_at = datetime.fromisoformat(value["made_at"])
        contents = Contents(
            made_at.astimezone(UTC) if made_at.tzinfo else made_at.replace(tzinfo=UTC),
            _short(value["panel_id"]),
            tuple(_part(each) for each in value["parts"]),
        )
        _check_order([part.name for part in contents.parts])
    except NotACopy:
        raise
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise NotACopy(f"{CONTENTS} of this copy is not what labpanel writes.") from error
    return contents


def _part(value: Any) -> Part:
    if value.keys() != {"name", "size", "sha256"}:
        raise ValueError(sorted(value))
    name, size, digest = value["name"], value["size"], value["sha256"]
    if name not in PARTS or type(size) is not int or not 0 <= size <= PARTS[name]:
        raise ValueError(name)
    if not _SHA256.match(digest):
        raise ValueError(digest)
    return Part(name, size, digest)


def _check_order(names: list[str]) -> None:
    """Each at most once, in the order of PARTS, the database among them."""
    if names != [name for name in PARTS if name in names] or DATABASE not in names:
        raise ValueError(names)


def _short(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 64 or not value.isprintable():
        raise ValueError(value)
    return value


def name_at(moment: datetime) -> str:
    """The file name of a copy made at an aware moment: "20261127T090316Z.tar"."""
    return f"{moment.astimezone(UTC):{_SHAPE}}.tar"


def made_at(name: str) -> datetime | None:
    """When a copy of this name was made; None if it is not the name of one."""
    if not _NAME.match(name):
        return None
    try:
        return datetime.strptime(name.removesuffix(".tar"), _SHAPE).replace(tzinfo=UTC)
    except ValueError:
        return None


def newest(names: Iterable[str], now: datetime) -> str:
    """The latest of the names that are not dated after `now`; "" if there is none."""
    dated = [(moment, name) for name in names if (moment := made_at(name))]
    believed = [(moment, name) for moment, name in dated if moment <= now + AHEAD]
    return max(believed)[1] if believed else ""


def is_due(names: Iterable[str], now: datetime) -> bool:
    """Whether a day has passed since the newest copy, as far as its name can be believed."""
    latest = made_at(newest(names, now))
    return latest is None or now - latest >= EVERY
