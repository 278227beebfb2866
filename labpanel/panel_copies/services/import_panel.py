"""Bring a panel back from a copy of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from labpanel.adapters.errors import AdapterError, Refused
from labpanel.adapters.here import copy_file, sqlite_file
from labpanel.lib.panel_copy import DATABASE, NotACopy, name_at
from labpanel.lib.refusal import Refusal
from labpanel.panel_copies.services.check_own import check_own
from labpanel.panel_copies.services.make_copy import NOT_A_FILE, working_folder
from labpanel.panel_copies.services.prove_copy import prove_copy
from labpanel.panel_copies.services.put_in_place import go_on, put_in_place
from labpanel.panel_copies.state import PanelState
from labpanel.supervise.claim import Claim

Ask = Callable[[], str]


@dataclass(frozen=True, slots=True)
class Imported:
    """`made_at` is None for a database alone; `aside` holds what was there before."""

    made_at: datetime | None
    panel_id: str
    aside: Path


@dataclass(frozen=True, slots=True)
class _Opened:
    files: Mapping[str, Path]
    made_at: datetime | None = None
    panel_id: str = ""


def import_panel(state: PanelState, source: Path, passphrase: Ask, now: datetime) -> Imported:
    """Put the panel of a copy (or a database that it copied before an update) in place of what is
    there, which is kept aside. The new state is proven first; a kill at any step leaves the old
    panel or the new one. Raises Refusal or an AdapterError.
    """
    claim = Claim(state.home)
    if not claim.take():
        raise Refusal(f"The panel of {state.home} is running: stop it first (./panel down).", 409)
    try:
        return _import(state, source, passphrase, now)
    except NotACopy as error:
        raise Refusal(str(error)) from error
    except OSError as error:
        raise Refusal(f"{source} cannot be imported: {error.strerror}.") from error
    finally:
        claim.release()


def _import(state: PanelState, source: Path, passphrase: Ask, now: datetime) -> Imported:
    if state.database is None:
        raise Refusal(NOT_A_FILE)
    go_on(state)
    with working_folder(state.home) as work:
        opened = _open(state, source, passphrase, work)
        prove_copy(opened.files)
        _settle(state.database)
        whole = opened.made_at is not None
        aside = put_in_place(state, opened.files, stamp(now), work, whole=whole)
    return Imported(opened.made_at, opened.panel_id, aside)


def _open(state: PanelState, source: Path, passphrase: Ask, work: Path) -> _Opened:
    if sqlite_file.is_one(source):
        check_own(source, state.home)
        copy_file.room_for(work, source.stat().st_size)
        sqlite_file.snapshot(source, work / DATABASE)
        return _Opened({DATABASE: work / DATABASE})
    found = copy_file.unpack(source, passphrase, work)
    return _Opened(found.files, found.contents.made_at, found.contents.panel_id)


def _settle(database: Path) -> None:
    """Refuse while the old database is in use; one that is damaged is moved as it is."""
    if not database.exists():
        return
    try:
        sqlite_file.settle(database)
    except Refused:
        raise
    except AdapterError:
        pass  # its side files go aside with it


def stamp(now: datetime) -> str:
    """An instant as it stands in the names of what is kept aside: "20261127T090316Z"."""
    return name_at(now).removesuffix(".tar")
