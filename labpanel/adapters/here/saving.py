"""Why the panel cannot save: a full disk and a locked database are no bugs, and are named."""

import errno

from django.db import DatabaseError, OperationalError, connection

from labpanel.adapters.here import home_disk
from labpanel.lib import room

_FULL = room.PanelRoom(0, 1).sentence
_LOCKED = "is locked"  # the database, a table of it, or its schema
_AGAIN = "Try again in a moment."
_DAMAGED = (
    "The panel's database is damaged. Stop the panel; `./panel up` then lists the copies that "
    "bring it back."
)
# SQLite's own words (sqlite3ErrStr in its source), in the order in which they are looked for
_SQLITE = {
    "database or disk is full": _FULL,
    _LOCKED: f"The panel's database is locked by another program. {_AGAIN}",
    "attempt to write a readonly database": "The panel's database can only be read: its file or "
    "its file system is read-only.",
    "unable to open database file": "The panel's database cannot be opened.",
    "file is not a database": _DAMAGED,
    "database disk image is malformed": _DAMAGED,
    "no such table": "The panel's database is empty or of another version. Stop the panel; "
    "`./panel up` looks at it and says what to do.",
    "disk i/o error": "The disk of the panel's machine fails to read or write the database.",
}


def trouble(error: BaseException | None) -> str:
    """One sentence for the user; empty for everything else, bugs above all."""
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return _FULL
    if not isinstance(error, DatabaseError):
        return ""
    said = str(error).lower()
    for words, sentence in _SQLITE.items():
        if words in said:
            # SQLite says "disk I/O error" where its shared memory finds no room.
            return _FULL if _is_full() and words != _LOCKED else sentence
    if "no space left on device" in said:  # PostgreSQL, 53100 disk_full
        return "The disk of the panel's database is full."
    if isinstance(error, OperationalError) and connection.vendor != "sqlite":
        return f"The panel's database does not answer. {_AGAIN}"
    return ""


def _is_full() -> bool:
    found = home_disk.room()
    return found is not None and found.word == room.NONE
