"""Make a copy of the panel while it runs: its database at one instant, its keys."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from labpanel.adapters.errors import AdapterError, Refused
from labpanel.adapters.here import copy_file, sqlite_file
from labpanel.adapters.here.age import CopyKey
from labpanel.adapters.ssh.file_lock import locked
from labpanel.lib.panel_copy import DATABASE
from labpanel.panel_copies.state import LOCK, PanelState

WORK = "making-copy-"
WAIT_SECONDS = 30
# A copy without these would be of a panel that neither its stores nor its hosts know.
NEEDED = frozenset({"panel-id", "manifest.key", "ssh/id_ed25519"})
NOT_A_FILE = (
    "The database is a PostgreSQL server: pg_dump copies it, and LABPANEL_HOME beside it. "
    "`panel export` copies panels whose database is SQLite."
)


@contextlib.contextmanager
def copied(state: PanelState, key: CopyKey, now: datetime) -> Iterator[Path]:
    """A finished copy in a private folder that goes with the block.

    Raises Refused (no room, PostgreSQL, damaged key), AdapterError (the database cannot be read),
    or TimedOut (another copy is being made).
    """
    if state.database is None:
        raise Refused(NOT_A_FILE)
    with working_folder(state.home) as work:
        yield _made(state, state.database, key, now, work)


def _made(state: PanelState, database: Path, key: CopyKey, now: datetime, work: Path) -> Path:
    kept = state.keys()
    if absent := sorted(NEEDED - kept.keys()):
        raise AdapterError(
            f"{absent[0]} is missing in {state.home}, and a copy without it would not bring the "
            "panel back whole: restart the panel, which makes it."
        )
    try:
        copy_file.room_for(work, 3 * database.stat().st_size)
        sqlite_file.snapshot(database, work / DATABASE)
        files = {**kept, DATABASE: work / DATABASE}
        return copy_file.pack(files, key, _panel_id(state), now, work)
    except OSError as error:
        raise AdapterError(f"A copy of the panel cannot be made: {error.strerror}.") from error


@contextlib.contextmanager
def working_folder(home: Path) -> Iterator[Path]:
    """A private folder under `home` for one piece of work; what a killed one left is removed."""
    with locked(home / LOCK, WAIT_SECONDS, "Making a copy of the panel"):
        for left in home.glob(f"{WORK}*"):
            shutil.rmtree(left, ignore_errors=True)
        work = Path(tempfile.mkdtemp(prefix=WORK, dir=home))
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _panel_id(state: PanelState) -> str:
    try:
        return (state.home / "panel-id").read_text("ascii").strip()[:64]
    except (OSError, UnicodeError):
        return ""
