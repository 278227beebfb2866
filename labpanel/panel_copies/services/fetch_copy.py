"""Fetch the newest copy of the panel from a store, also where the database cannot be read."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from labpanel.adapters.here.copy_file import room_for
from labpanel.adapters.here.sqlite_file import is_one
from labpanel.adapters.ssh.machine import Machine
from labpanel.adapters.store.panel_copies import StoredPanelCopies
from labpanel.lib.panel_copy import newest
from labpanel.lib.refusal import Refusal
from labpanel.panel_copies import record
from labpanel.panel_copies.state import PanelState

_WORK = "fetching-copy-"


@contextlib.contextmanager
def fetched(state: PanelState, store: str, now: datetime) -> Iterator[Path]:
    """The newest copy in the store of that name, as a file that goes with the block. Raises Refusal
    if the panel knows no such store or copy, or an AdapterError."""
    known = record.read(state.home)
    place = next((each for each in known if each.store == store), None)
    if place is None:
        names = ", ".join(each.store for each in known)
        hint = f"Known are: {names}." if names else "No store has one yet."
        raise Refusal(f"No store {store} with copies of this panel is known here. {hint}", 404)
    for left in state.home.glob(f"{_WORK}*"):
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=_WORK, dir=state.home) as work:
        panel_id = (state.home / "panel-id").read_text("ascii").strip()
        machine = Machine(place.endpoint)
        with StoredPanelCopies(machine, place.path, panel_id, place.store_id) as shelf:
            found = {copy.name: copy for copy in shelf.copies()}
            latest = newest(found, now)
            if not latest:
                raise Refusal(f"The store {store} holds no copy of this panel.", 404)
            room_for(Path(work), found[latest].size)
            shelf.get(latest, found[latest].size, Path(work) / latest)
        if is_one(Path(work) / latest):
            raise Refusal(
                f"The store {store} holds a bare database instead of a copy of this panel "
                f"({latest}), which opens without a passphrase: it was not taken. Use a copy from "
                f"elsewhere, and find out what writes to {place.path} on {place.host}."
            )
        yield Path(work) / latest
