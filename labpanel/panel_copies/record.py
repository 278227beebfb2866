"""What the panel knows of its copies in the stores, kept beside the database and not in it: it is
asked for when the database cannot be read."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from labpanel.adapters.errors import AdapterError
from labpanel.adapters.store.panel_copies import CopyFile, parse_copies
from labpanel.lib.panel_copy import newest
from labpanel.lib.shapes import Endpoint
from labpanel.panel_copies.state import write_private

FILE = "panel-copies.json"
FORMAT = 1
_MOST_BYTES = 1 << 20
_UNFIT = (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError, AdapterError)


@dataclass(frozen=True, slots=True)
class StoreCopies:
    """One store's copies of this panel as last seen, oldest first. `host` and `target` say which
    machine the store is on, `error` why the last try failed ("" if it did not)."""

    store: str
    store_id: str
    path: str
    host: str
    target: str
    host_key: str
    tried_at: datetime | None = None
    error: str = ""
    copies: tuple[CopyFile, ...] = ()

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(self.host, self.target, self.host_key)

    def newest(self, now: datetime) -> CopyFile | None:
        """The latest that is not dated after `now`."""
        name = newest((copy.name for copy in self.copies), now)
        return next((copy for copy in self.copies if copy.name == name), None)

    def path_of(self, panel_id: str, name: str) -> str:
        return f"{self.path}/panel-copies/{panel_id}/{name}"


def read(home: Path) -> tuple[StoreCopies, ...]:
    """By name; empty if nothing is known or the file is damaged: it is written anew each day."""
    try:
        with (home / FILE).open("rb") as file:
            value = json.loads(file.read(_MOST_BYTES))
        if value["format"] != FORMAT:
            return ()
        return tuple(_store(each) for each in value["stores"])
    except _UNFIT:
        return ()


def write(home: Path, stores: Iterable[StoreCopies]) -> None:
    ordered = sorted(stores, key=lambda each: each.store)
    value = {"format": FORMAT, "stores": [_as_json(each) for each in ordered]}
    write_private(home / FILE, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def _as_json(store: StoreCopies) -> dict[str, Any]:
    return {
        **asdict(replace(store, tried_at=None)),
        "tried_at": store.tried_at.isoformat() if store.tried_at else None,
        "copies": [{"name": copy.name, "bytes": copy.size} for copy in store.copies],
    }


def _store(value: dict[str, Any]) -> StoreCopies:
    names = ("store", "store_id", "path", "host", "target", "host_key", "error")
    words = {name: value[name] for name in names}
    if not all(isinstance(word, str) for word in words.values()):
        raise TypeError(words)
    tried_at = value["tried_at"]
    return StoreCopies(
        **words,
        tried_at=datetime.fromisoformat(tried_at) if tried_at is not None else None,
        copies=parse_copies(value["copies"]),
    )
