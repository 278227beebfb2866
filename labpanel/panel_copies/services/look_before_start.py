"""Whether the state under LABPANEL_HOME is that of the panel that was here before.

A damaged, empty or missing database beside the keys of a panel is named, never silently made new.
"""

from pathlib import Path

from labpanel.adapters.here import sqlite_file
from labpanel.panel_copies.services.prove_copy import newer_than_code
from labpanel.panel_copies.state import BEFORE, PanelState, copies_before

# What only a panel that has run leaves. `secret.key` alone is made by any verb.
_TRACES = ("panel-id", "ssh/id_ed25519", "manifest.key", "copy-key.json")
# A part whose loss is silent, the rows that need it, and what happens then. The panel's own machine
# needs no SSH.
_NEEDED = (
    ("panel-id", "backups_store", "the panel's stores refuse a panel with another id"),
    ("ssh/id_ed25519", "hosts_host WHERE target <> 'local'", "no host accepts another key"),
)


def lost_state(state: PanelState) -> str:
    """What is damaged or lost, in one sentence; "" if the panel can start as it is."""
    if state.database is None:
        return ""
    return lost_database(state, state.database) or _lost_key(state, state.database)


def panel_trace(state: PanelState) -> str:
    """The name of something that only a panel that has run leaves; ""."""
    found = next((name for name in _TRACES if (state.home / name).exists()), "")
    return found or next((f"{BEFORE}/{path.name}" for path in copies_before(state.home)), "")


def lost_database(state: PanelState, database: Path) -> str:
    """Why the database is not the one of the panel that was here; ""."""
    trace = panel_trace(state)
    if not database.exists():
        return f"The database {database} is missing, beside {trace} of a panel." if trace else ""
    if not database.is_file():
        return f"The database {database} is damaged: it is not a file."
    if database.stat().st_size == 0:
        trace = trace or ("secret.key" if (state.home / "secret.key").exists() else "")
        return f"The database {database} is empty, beside {trace} of a panel." if trace else ""
    wrong = sqlite_file.fault(database)
    if wrong:
        return f"The database {database} is damaged: {wrong}."
    if trace and not sqlite_file.rows(database, "django_migrations"):
        return f"The database {database} is empty, beside {trace} of a panel."
    return ""


def too_new(state: PanelState) -> str:
    """A migration in the database that this code does not have; ""."""
    if state.database is None or not state.database.exists():
        return ""
    if not sqlite_file.rows(state.database, "django_migrations"):
        return ""
    return newer_than_code(state.database)


def _lost_key(state: PanelState, database: Path) -> str:
    for name, rows, then in _NEEDED:
        if not (state.home / name).exists() and sqlite_file.rows(database, rows):
            return f"{state.home / name} is missing, and {then}."
    return ""
