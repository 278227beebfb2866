"""A store's copies of this panel, on the store's machine: onhost/store/panel_copies.py, typed.

What it answers is parsed here: a store's machine is not believed.
"""

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from labpanel.adapters.errors import Refused
from labpanel.adapters.ssh.machine import Machine
from labpanel.adapters.ssh.session import Front
from labpanel.lib.panel_copy import KEEP, made_at

CHUNK = 512 * 1024
SHORT, LONG = 20, 120
MOST = 1000


@dataclass(frozen=True, slots=True)
class CopyFile:
    """A copy of a panel in a store. `name` says when it was made (lib/panel_copy.made_at)."""

    name: str
    size: int


class StoredPanelCopies(Front):
    """One store for one piece of work. Raises an AdapterError."""

    program: ClassVar[str] = "store.panel_copies"

    def __init__(self, machine: Machine, path: str, panel_id: str, store_id: str) -> None:
        super().__init__(machine)
        self._whole: dict[str, Any] = {"store": path, "panel_id": panel_id, "store_id": store_id}

    def copies(self) -> tuple[CopyFile, ...]:
        """Those of this panel, oldest first."""
        return parse_copies(self._session.call("copies", deadline=SHORT, **self._whole))

    def put(self, source: Path, name: str, keep: int = KEEP) -> tuple[CopyFile, ...]:
        """Write a file there as the copy `name`, whole or not at all, then thin out to the newest
        `keep`; what lies there then."""
        digest = hashlib.sha256()
        self._session.call("begin", deadline=SHORT, name=name, **self._whole)
        with source.open("rb") as file:
            while data := file.read(CHUNK):
                digest.update(data)
                text = base64.b64encode(data).decode()
                self._session.call("write", deadline=LONG, data=text)
        found = self._session.call("finish", deadline=LONG, sha256=digest.hexdigest(), keep=keep)
        return parse_copies(found)

    def get(self, name: str, size: int, target: Path) -> None:
        """Fetch a copy of `size` bytes into a new file. Raises Refused if it is another size."""
        done = 0
        with target.open("xb") as file:
            while data := self._piece(name, done, size + 1 - done):
                file.write(data)
                done += len(data)
        if done != size:
            raise Refused(f"The copy {name} is not whole: it has {done} bytes instead of {size}.")

    def _piece(self, name: str, offset: int, left: int) -> bytes:
        size = min(CHUNK, left)
        if size <= 0:
            return b""
        words: dict[str, Any] = {**self._whole, "name": name, "offset": offset, "size": size}
        found = self._session.call("read", deadline=LONG, **words)
        try:
            data = base64.b64decode(found, validate=True)
        except (ValueError, TypeError) as error:
            raise _nonsense() from error
        if len(data) > size:
            raise _nonsense()
        return data


def parse_copies(found: Any) -> tuple[CopyFile, ...]:
    """A list of `{"name", "bytes"}` as values. Raises Refused for anything else."""
    if not isinstance(found, list) or len(found) > MOST:
        raise _nonsense()
    return tuple(sorted((_copy(each) for each in found), key=lambda each: each.name))


def _copy(found: Any) -> CopyFile:
    if not isinstance(found, dict) or found.keys() != {"name", "bytes"}:
        raise _nonsense()
    name, size = found["name"], found["bytes"]
    if not isinstance(name, str) or made_at(name) is None or type(size) is not int or size < 0:
        raise _nonsense()
    return CopyFile(name, size)


def _nonsense() -> Refused:
    return Refused("The store's machine gave no sensible answer about the panel's copies.")
