"""What copies of the panel there are, newest first, without asking any store."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypedDict

from labpanel.lib.durations import ago
from labpanel.lib.panel_copy import AHEAD, EVERY, made_at
from labpanel.panel_copies import record
from labpanel.panel_copies.record import StoreCopies
from labpanel.panel_copies.state import PanelState, copies_before, read_export, read_key

# A day between two copies, and as much again for a store that is away for a night.
LATE = 2 * EVERY


class PanelCopyJson(TypedDict):
    path: str
    made_at: str
    bytes: int


class StoreLineJson(TypedDict):
    """A store's copies of the panel; `state` is good, watch or unknown."""

    store: str
    where: str
    state: str
    reason: str
    copies: list[PanelCopyJson]


@dataclass(frozen=True, slots=True)
class KnownCopy:
    """`name` is its path on the store's machine; `made_at` None only for what has no date."""

    name: str
    made_at: datetime
    size: int

    def as_json(self) -> PanelCopyJson:
        return {"path": self.name, "made_at": self.made_at.isoformat(), "bytes": self.size}


@dataclass(frozen=True, slots=True)
class StoreLine:
    """A store's copies of the panel. `level` is good, watch or unknown; `words` says why."""

    store: str
    where: str
    level: str
    words: str
    error: str
    copies: tuple[KnownCopy, ...]

    def as_json(self) -> StoreLineJson:
        return {
            "store": self.store,
            "where": self.where,
            "state": self.level,
            "reason": self.error or self.words,
            "copies": [copy.as_json() for copy in self.copies],
        }


@dataclass(frozen=True, slots=True)
class PanelCopies:
    """`trouble` is one sentence for the overview, "" if a store has a fresh copy of the panel.
    `exported` is the newest that was written by hand; whether it is still there is unknown."""

    has_passphrase: bool
    stores: tuple[StoreLine, ...]
    before: tuple[KnownCopy, ...]
    exported: KnownCopy | None
    trouble: str
    is_file: bool


def panel_copies(state: PanelState, now: datetime) -> PanelCopies:
    """Of this panel, as the last turn saw them."""
    panel_id = _panel_id(state)
    stores = tuple(_line(each, panel_id, now) for each in record.read(state.home))
    has_passphrase = read_key(state.home) is not None
    exported = last_export(state.home)
    return PanelCopies(
        has_passphrase,
        stores,
        tuple(
            KnownCopy(str(path), moment, path.stat().st_size)
            for path in copies_before(state.home)
            if (moment := made_at(path.name[len("before-") : -len("sqlite3")] + "tar"))
        ),
        exported,
        _trouble(has_passphrase, stores, exported, now) if state.database else "",
        state.database is not None,
    )


def _line(store: StoreCopies, panel_id: str, now: datetime) -> StoreLine:
    copies = tuple(
        KnownCopy(store.path_of(panel_id, copy.name), moment, copy.size)
        for copy in reversed(store.copies)
        if (moment := made_at(copy.name))
    )
    level, words = _judged(copies, now)
    return StoreLine(
        store.store, f"{store.path} on {store.host}", level, words, store.error, copies
    )


def _judged(copies: tuple[KnownCopy, ...], now: datetime) -> tuple[str, str]:
    latest = _latest(copies, now)
    if latest is None:
        return "watch", "no copy yet"
    return ("good" if now - latest <= LATE else "watch"), f"newest {ago(latest, now)}"


def _latest(copies: tuple[KnownCopy, ...], now: datetime) -> datetime | None:
    return max((copy.made_at for copy in copies if copy.made_at <= now + AHEAD), default=None)


def last_export(home: Path) -> KnownCopy | None:
    """What `export` wrote last, as it noted it."""
    noted = read_export(home)
    return None if noted is None else KnownCopy(noted.path, noted.made_at, noted.size)


def _trouble(
    has_passphrase: bool,  # noqa: FBT001
    stores: tuple[StoreLine, ...],
    exported: KnownCopy | None,
    now: datetime,
) -> str:
    newest = max((at for each in stores if (at := _latest(each.copies, now))), default=None)
    if newest is None and exported is not None:
        why = "none has one yet" if stores else "there is no store yet"
        return (
            f"The panel itself has no copy but the file that was exported "
            f"{ago(exported.made_at, now)} to {exported.name}: {why}."
        )
    if newest is None:
        return (
            "The panel itself has no copy yet."
            if has_passphrase and stores
            else "The panel itself has no copy."
        )
    if now - newest > LATE:
        return f"The newest copy of the panel itself was made {ago(newest, now)}."
    return ""


def _panel_id(state: PanelState) -> str:
    try:
        return (state.home / "panel-id").read_text("ascii").strip()
    except (OSError, UnicodeError):
        return ""
