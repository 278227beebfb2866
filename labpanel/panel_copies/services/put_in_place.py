"""Exchange a panel's files for others: the old state or the new one, never half of each.

The new files lie ready first, the database beside the old one and the rest in `import-ready`. The
rename that gives that folder its name decides: killed before it, nothing has changed; killed after
it, the next start (or import) goes on. What was there is kept aside.
"""

import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from labpanel.adapters.here.sqlite_file import side_files
from labpanel.lib.panel_copy import DATABASE, PARTS
from labpanel.lib.refusal import Refusal
from labpanel.panel_copies.state import PanelState, sync, write_private

READY, PLAN = "import-ready", "plan.json"
_ASIDE = re.compile(r"replaced-[0-9]{8}T[0-9]{6}Z\Z")
# Where the environment gives it, a copy has none, and the one that lies there does no harm.
_STAYS = {"secret.key"}


@dataclass(frozen=True, slots=True)
class ReplacementPlan:
    """`aside`: the folder that takes the old files. `names`: the parts that are new. `whole`:
    parts that the copy lacks go aside too; False if the database alone is exchanged."""

    aside: str
    names: tuple[str, ...]
    whole: bool


def put_in_place(
    state: PanelState, files: Mapping[str, Path], stamp: str, work: Path, *, whole: bool
) -> Path:
    """Exchange the parts for `files`, which lie in `work`, a folder under `state.home`. Returns the
    folder with the old ones. OSError before the decision has changed nothing."""
    ready = work / READY
    ready.mkdir(mode=0o700)
    for name, path in files.items():
        if name == DATABASE:
            _stage_database(state, path)
        else:
            path.rename(_flat(ready, name))
    plan = ReplacementPlan(f"replaced-{stamp}", tuple(files), whole)
    write_private(ready / PLAN, json.dumps(asdict(plan)))
    ready.rename(state.home / READY)
    sync(state.home)
    go_on(state)
    return state.home / plan.aside


def go_on(state: PanelState) -> Path | None:
    """Finish an exchange that was decided; the folder with the old files, None if there was none.
    Raises Refusal if what was to be done cannot be read."""
    ready = state.home / READY
    if not ready.is_dir():
        return None
    if not any(ready.iterdir()):  # killed between the last two steps
        ready.rmdir()
        return None
    plan = _read_plan(ready)
    aside = state.home / plan.aside
    aside.mkdir(mode=0o700, exist_ok=True)
    for name in PARTS:
        if name == DATABASE:
            _exchange_database(state, aside)
        elif name in plan.names:
            _exchange(_flat(ready, name), state.part(name), _flat(aside, name))
        elif plan.whole and name not in _STAYS and state.part(name).exists():
            state.part(name).rename(_flat(aside, name))
    for folder in (aside, state.home, state.home / "ssh"):
        if folder.is_dir():
            sync(folder)
    (ready / PLAN).unlink()
    ready.rmdir()
    sync(state.home)
    return aside


def set_database_aside(state: PanelState, stamp: str) -> Path:
    """Move a database and its side files out of the way; the folder or path where they are."""
    assert state.database is not None
    aside = state.home / f"replaced-{stamp}"
    aside.mkdir(mode=0o700, exist_ok=True)
    _move_database(state.database, aside)
    return aside


def _stage_database(state: PanelState, path: Path) -> None:
    staged = _staged(state)
    staged.unlink(missing_ok=True)
    shutil.move(path, staged)  # which copies where it lies on another file system
    with staged.open("rb") as file:
        os.fsync(file.fileno())
    sync(staged.parent)


def _exchange(staged: Path, place: Path, aside: Path) -> None:
    if not staged.exists():
        return  # done before a kill
    if place.exists() and not aside.exists():
        place.rename(aside)
    place.parent.mkdir(mode=0o700, exist_ok=True)
    staged.rename(place)


def _exchange_database(state: PanelState, aside: Path) -> None:
    staged, place = _staged(state), state.part(DATABASE)
    if not staged.exists():
        return
    _move_database(place, aside)
    staged.rename(place)
    sync(place.parent)


def _move_database(database: Path, aside: Path) -> None:
    """The side files first: beside a new database they would be taken for its own."""
    same_disk = database.parent.stat().st_dev == aside.stat().st_dev
    target = aside / DATABASE if same_disk else database.with_name(f"{database.name}.{aside.name}")
    for old in (*side_files(database), database):
        if old.exists():
            old.rename(target.with_name(target.name + old.name.removeprefix(database.name)))


def _staged(state: PanelState) -> Path:
    place = state.part(DATABASE)
    return place.with_name(f"{place.name}.import")


def _flat(folder: Path, name: str) -> Path:
    return folder / name.replace("/", "-")


def _read_plan(ready: Path) -> ReplacementPlan:
    try:
        value = json.loads((ready / PLAN).read_text("utf-8"))
        plan = ReplacementPlan(value["aside"], tuple(value["names"]), value["whole"] is True)
        if _ASIDE.match(plan.aside) and set(plan.names) <= set(PARTS):
            return plan
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        pass  # said below
    raise Refusal(f"{ready} holds an import that cannot be finished: {PLAN} in it is damaged.")
