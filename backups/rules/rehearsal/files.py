"""Whether the files of a rehearsed copy are those that the VM had. Pure.

A file whose inode was not touched since the backup (its ctime, which no program can set back, is
older) was there at the backup as it is now. So of the running VM's files these, and only these,
must be in the copy, and the newest of them bounds the copy's newest. No tolerance is needed for
what was changed since; a little is left for what each boot cleans up (lock files, rotated logs).
"""

from datetime import UTC, datetime

from labpanel.lib.guest import Guest, Tree
from labpanel.lib.rehearsing import Check
from labpanel.lib.units import count

# Below this part of what must be there the copy is wrong, and above the other it is right.
WRONG, RIGHT = 0.90, 0.98
# A copy of the instant of a power cut may lack what the guest had not written out: ext4 and XFS do
# so after 5 to 30 s. The files that must be there are those older than this before the backup.
MARGIN_SECONDS = 120


def files_checks(guest: Guest, live: Guest | None, why_no_live: str) -> list[Check]:
    """A check for each place where files were counted in the copy."""
    checks = []
    for place, tree in sorted(guest.trees.items()):
        other = live.trees.get(place) if live is not None else None
        own = place in guest.points
        checks.append(_check(place, tree, other, why_no_live, own=own))
    return checks


def _check(place: str, tree: Tree, live: Tree | None, why_no_live: str, *, own: bool) -> Check:
    what = f"Files in {place}"
    if not tree.files:
        return _empty(what, place, live, why_no_live, own=own)
    here = f"{_files(tree)}, the newest from {_day(tree.newest)}"
    if live is None:
        why = why_no_live or "the running VM does not have this place"
        return Check(what, None, f"{here}; there is nothing to hold this against: {why}.")
    if live.cut or tree.cut:
        return Check(what, None, f"More than {tree.files} files; too many to compare.")
    passed = _compared(tree, live)
    must = f"{count(live.old, 'file')} of the running VM did not change since and must be here"
    if passed is not True:
        return Check(what, passed, f"Only {here}; {must}.")
    if live.old and tree.newest < live.old_newest:
        newest = _day(live.old_newest)
        seen = f"{here}, but the running VM has one from {newest} that was there at the backup."
        return Check(what, None, seen)
    return Check(what, True, f"{here}; {must}.")


def _compared(tree: Tree, live: Tree) -> bool | None:
    if tree.files >= live.old * RIGHT:
        return True
    return None if tree.files >= live.old * WRONG else False


def _empty(what: str, place: str, live: Tree | None, why_no_live: str, *, own: bool) -> Check:
    if live is not None and live.old:
        held = f"the running VM has {_files(live)} there, {live.old} of them older than this copy"
        return Check(what, False, f"{place} is empty; {held}.")
    if own and place == "/home":
        # A separate file system for /home that holds nothing has lost its files.
        return Check(what, False, f"{place} is a file system of its own and is empty.")
    if live is None:
        why = why_no_live or "the running VM does not have this place"
        return Check(what, None, f"{place} is empty; whether it should be is not known: {why}.")
    if live.files:
        held = f"{_files(live)} there now, all of them younger than this copy"
        return Check(what, None, f"{place} is empty; the running VM has {held}.")
    return Check(what, True, f"{place} is empty, as in the running VM.")


def _files(tree: Tree) -> str:
    return count(tree.files, "file")


def _day(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
