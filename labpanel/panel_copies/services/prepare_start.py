"""What must be true of a panel's state before its first process starts."""

import logging
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder

from backups.services.index.identity import manifest_key, panel_id
from labpanel.adapters.errors import AdapterError
from labpanel.adapters.here import sqlite_file
from labpanel.adapters.here.copy_file import room_for
from labpanel.adapters.ssh.openssh import public_key
from labpanel.lib.durations import ago
from labpanel.lib.printable import printable
from labpanel.lib.refusal import Refusal
from labpanel.panel_copies.selectors.known_copies import panel_copies
from labpanel.panel_copies.services.import_panel import stamp
from labpanel.panel_copies.services.look_before_start import (
    lost_database,
    lost_state,
    panel_trace,
    too_new,
)
from labpanel.panel_copies.services.put_in_place import go_on, set_database_aside
from labpanel.panel_copies.state import BEFORE, KEEP_BEFORE, PanelState, copies_before, sync

log = logging.getLogger(__name__)


class NotStarted(Refusal):
    """`lines` say what brings the panel back."""

    def __init__(self, sentence: str, lines: Sequence[str]) -> None:
        super().__init__(sentence, 409)
        self.lines = tuple(map(printable, lines))


def prepare_start(state: PanelState, now: datetime, *, start_empty: bool = False) -> None:
    """Finish an interrupted import, refuse a damaged state, copy the database, bring its tables up
    to date. Raises Refusal, or an AdapterError where no copy could be made: nothing was migrated.

    `start_empty` is the owner's word to begin anew: what is damaged is kept aside.
    """
    if aside := go_on(state):
        log.warning("an import that was interrupted is finished; what was there is in %s", aside)
    lost = lost_state(state) if state.database else _lost_server(state)
    if lost and not start_empty:
        raise NotStarted(f"{lost} The panel was not started.", offer(state, now))
    if lost:
        _begin_anew(state, lost, now)
    if newer := too_new(state):
        raise NotStarted(
            f"The database was brought up to date by a newer labpanel ({newer}): use that version, "
            "or import a copy from before.",
            offer(state, now),
        )
    if _pending():
        copy_before(state, now)
        call_command("migrate", interactive=False, verbosity=0)
    # All of them now: a copy of the panel from before a key was made could not vouch for it.
    panel_id()
    manifest_key()
    public_key()


def _begin_anew(state: PanelState, lost: str, now: datetime) -> None:
    log.warning("%s The panel starts nevertheless, as its owner said.", lost)
    if state.database is not None and lost_database(state, state.database):
        aside = set_database_aside(state, stamp(now))
        log.warning("what was there of the database is kept in %s", aside)


def _lost_server(state: PanelState) -> str:
    """The same of a database on a server: an empty one where a panel was here before."""
    trace = panel_trace(state)
    if trace and not MigrationRecorder(connection).applied_migrations():
        return f"The database that DATABASE_URL names is empty, beside {trace} of a panel."
    return ""


def _pending() -> bool:
    executor = MigrationExecutor(connection)
    return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def copy_before(state: PanelState, now: datetime) -> Path | None:
    """Copy the database whose tables are about to change; the newest KEEP_BEFORE stay. None where
    there is nothing to copy yet, or where it lies on a server. Raises an AdapterError."""
    database = state.database
    if database is None:
        log.warning("PostgreSQL is brought up to date without a copy before: pg_dump makes one")
        return None
    if not sqlite_file.rows(database, "django_migrations"):
        return None
    folder = state.home / BEFORE
    folder.mkdir(mode=0o700, exist_ok=True)
    target = folder / f"before-{stamp(now)}.sqlite3"
    partial = target.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    try:
        room_for(folder, database.stat().st_size)
        sqlite_file.snapshot(database, partial)
        partial.rename(target)
        sync(folder)
    except (OSError, AdapterError) as error:
        partial.unlink(missing_ok=True)
        why = error.sentence if isinstance(error, AdapterError) else f"{error.strerror}."
        raise AdapterError(
            f"The tables must be brought up to date, and no copy of the database could be made "
            f"before: {why}"
        ) from error
    for old in copies_before(state.home)[KEEP_BEFORE:]:
        old.unlink()
    return target


def offer(state: PanelState, now: datetime) -> list[str]:
    """The newest copies that are known, each with the command that brings it back."""
    known = panel_copies(state, now)
    lines = [
        f"  ./panel import --store {each.store}: {each.words}, {each.where}"
        for each in known.stores
        if each.copies
    ]
    lines += [
        f"  ./panel import {copy.name}: made {ago(copy.made_at, now)}, before an update"
        for copy in known.before[:1]
    ]
    found = "The newest copies of it:" if lines else "No copy of it is known here."
    return [
        found,
        *lines,
        "  ./panel import FILE: any other copy; in a store they lie in panel-copies/",
        "  ./panel up --start-empty: begin anew; what is damaged is kept aside",
    ]
