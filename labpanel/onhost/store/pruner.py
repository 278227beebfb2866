"""Drops generations of a VM from a store by merging. Runs on the store's machine, under a journal.

Whatever is dropped, no other generation's view ever changes, and a kill at any point is taken up
again. First every kept disk that backs on a dropped generation, but has a kept one further below,
is rebuilt on that one: until then nothing is lost by giving up. Then, where the oldest goes, what
is above it is committed into its image, which takes the place of the oldest that stays. Only when
every child is proven (its whole content against its digests), the files of the dropped ones go.
"""

import contextlib
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from labpanel.lib.store_format import names
from labpanel.lib.store_format.journal import JournalFile, Stage
from labpanel.lib.store_format.manifest import Manifest
from labpanel.lib.store_format.names import JOURNAL
from labpanel.lib.store_format.spelling import Json
from labpanel.onhost.images import exporter, layers
from labpanel.onhost.runtime import inside
from labpanel.onhost.runtime.wire import Problem, say, serve
from labpanel.onhost.store import (
    foreign_files,
    keeper,
    locks,
    manifests,
    merges,
    rebuilder,
    store_marker,
    stored,
)
from labpanel.onhost.store.journal import Journal, begun
from labpanel.onhost.store.merges import Merge

SPARE = 16 << 20  # room for qcow2's own tables, and for the journal
CHECKED = (0, 3)  # of qemu-img check: clean, or leaked clusters only


def prune(store: str, panel_id: str, store_id: str, vm_uuid: str, drop: list[str]) -> Json:
    """Drop the generations in `drop`, after what an earlier change has left unfinished:
    `{"dropped": keys, "freed_bytes", "left": paths of files that are not ours}`."""
    folder = _folder(store, panel_id, store_id, vm_uuid)
    before = _taken(folder)
    done = _take_up(folder)
    listed = _listed(folder)
    _refuse_unreadable(folder, listed)
    going = {key: listed[key] for key in drop if key in listed}
    if going:
        journal = Journal(folder, JournalFile(drop=going))
        journal.write()
        _rebuild(journal, listed)
        journal.merging()
        done += _merge(journal)
    left = [str(path) for key in drop for path in _files(folder / manifests.name(key))]
    return {"dropped": done, "freed_bytes": max(0, before - _taken(folder)), "left": left}


def take_up(store: str, panel_id: str, store_id: str, vm_uuid: str) -> list[str]:
    """Bring what was begun to its end, or back; keys of the generations that this dropped."""
    return _take_up(_folder(store, panel_id, store_id, vm_uuid))


def _folder(store: str, panel_id: str, store_id: str, vm_uuid: str) -> Path:
    store_marker.checked_marker(store, panel_id, store_id)
    locks.lock(store, vm_uuid, exclusive=True)
    return manifests.vm_folder(store, vm_uuid)


def _take_up(folder: Path) -> list[str]:
    journal = begun(folder)
    if journal is None:
        return []
    journal.enter_all()
    if journal.stage is not Stage.MERGING:
        journal.close()
        return []
    journal.unlist()
    return _merge(journal)


def _listed(folder: Path) -> dict[str, Manifest]:
    """Key → manifest of the generations that are whole enough to say what they are."""
    found = {}
    for place in manifests.folders(folder):
        manifest, _ = manifests.read(place / names.MANIFEST)
        if manifest is not None:
            found[place.name] = manifest
    return found


def _refuse_unreadable(folder: Path, listed: Mapping[str, Manifest]) -> None:
    """Refuse if any manifest is unreadable: its parents are unknown, and one may be dropped."""
    for entry in foreign_files.without_manifest(folder, listed):
        raise Problem(
            "damaged",
            f"The manifest of generation {entry} cannot be read, so what it is built "
            f"on is unknown: nothing of this VM is dropped here until it is mended "
            f"(./panel mend {entry}).",
        )


def _rebuild(journal: Journal, listed: Mapping[str, Manifest]) -> None:
    """The part that can be given up: whatever goes wrong, every generation is as it was."""
    try:
        rebuilds, commits = merges.plan(listed, journal.drop)
        for merge in rebuilds:
            _one_rebuild(journal, listed, merge)
        _check_commits(journal, listed, commits)
    except BaseException:
        journal.enter_all()
        journal.close()
        raise


def _one_rebuild(journal: Journal, listed: Mapping[str, Manifest], merge: Merge) -> None:
    target, child, parent = merge.target, merge.child, merge.parent
    _tell(f"Rebuilding {target} of {child} on top of {parent or 'nothing'}.")
    disk = merges.disk_of(listed[child], target)
    wanted = rebuilder.list_of(journal.folder, listed[child], target)
    below, backing = b"", ""
    if parent:
        below = rebuilder.list_below(journal.folder, listed[parent], target, len(wanted))
        backing = names.backing(manifests.name(parent), manifests.target_name(target))
    needs = rebuilder.bytes_to_hold(wanted, below, disk.virtual_bytes)
    _check_room(journal.folder, min(needs, merges.stored_bytes(listed, merge)), merge)
    fresh = journal.fresh(child, disk.file)
    own = stored.opened(journal.folder, child, target)
    view = exporter.serve_stack(target, own, writable=False)
    with _naming(merge):
        try:
            size = disk.virtual_bytes
            rebuilder.build(target, fresh, backing, size, [[view, target]], wanted, below)
        finally:
            exporter.stop(view)
        built = stored.over(journal.folder, (child, fresh.name), parent, target)
        rebuilder.prove(target, built, _digests(journal.folder, listed[child], target))
    journal.replace(child, target, fresh, parent)


def _check_commits(journal: Journal, listed: Mapping[str, Manifest], commits: list[Merge]) -> None:
    """What a commit destroys is worth nothing only when what stays is proven, and there is room."""
    needs = 0
    for merge in commits:
        folder, target = journal.folder, merge.target
        wanted = rebuilder.list_of(folder, listed[merge.child], target)
        base = rebuilder.list_below(folder, listed[merge.base], target, len(wanted))
        size = merges.disk_of(listed[merge.child], target).virtual_bytes
        needs += rebuilder.bytes_to_hold(wanted, base, size)
        _check_room(folder, needs, merge)
        with _naming(merge):
            _tell(f"Reading {target} of {merge.child} before it is merged.")
            image = stored.opened(folder, merge.child, target)
            rebuilder.prove(target, image, _digests(folder, listed[merge.child], target))


def _merge(journal: Journal) -> list[str]:
    """The part that goes on to its end, once the dropped ones are generations no more."""
    listed = {**_listed(journal.folder), **journal.drop}
    rebuilds, commits = merges.plan(listed, journal.drop)
    if rebuilds:
        raise Problem("damaged", f"{journal.folder / JOURNAL} does not fit what lies beside it.")
    for merge in commits:
        _commit(journal, listed, merge)
    for key, manifest in journal.drop.items():
        _remove(journal.folder / manifests.name(key), manifest)
    journal.close()
    return list(journal.drop)


def _commit(journal: Journal, listed: Mapping[str, Manifest], merge: Merge) -> None:
    """The child's content goes into the image of the oldest, which becomes the child's. At no time
    does what is read through the child change: its own clusters win, and they stay."""
    folder, target = journal.folder, merge.target
    _tell(f"Merging {target} of {merge.child} into the oldest image.")
    base = folder / manifests.name(merge.base) / names.image(manifests.target_name(target))
    with _naming(merge):
        with stored.opened(folder, merge.child, target) as chain:
            _commit_into(chain, base)
        with layers.inner(base, "qcow2") as image:
            exporter.check_stack(image)
        proven = stored.stack(folder, [(merge.base, base.name)])
        rebuilder.prove(target, proven, _digests(folder, listed[merge.child], target))
    journal.replace(merge.child, target, base, "")


def _commit_into(chain: layers.Stack, base: Path) -> None:
    bottom = chain.layers[-1]
    if bottom.path != str(base):
        raise Problem("damaged", f"it does not back on {base}")
    # A kill in the middle leaves clusters that nothing refers to.
    mend, what = ["qemu-img", "check", "-q", "-r", "leaks"], f"{base} is damaged"
    alone = layers.Stack([bottom])
    layers.tool(mend, alone, code="damaged", what=what, ok=CHECKED, writable=True)
    words = ["qemu-img", "commit", "-q", "-d", "-b", bottom.file()["filename"]]
    layers.tool(words, chain, code="commit", what="it could not be merged", writable=True)


def _remove(place: Path, manifest: Manifest) -> None:
    """Remove what a generation wrote, and its folder unless something else was put there."""
    own = [names.MANIFEST, *(file.name for file in manifest.files)]
    for disk in manifest.disks:
        own += [disk.file, disk.list_file]
    for file in own:
        inside.remove(place / manifests.file_name(file))
    with contextlib.suppress(OSError):  # it is gone, or not empty: `prune` says what is left
        inside.remove_folder(place)


def _files(folder: Path) -> list[Path]:
    """Regular files; through no link, which would lead out of the store."""
    if folder.is_symlink():
        return []
    found = [Path(at) / name for at, _, files in os.walk(folder) for name in files]
    return sorted(path for path in found if stat.S_ISREG(path.lstat().st_mode))


def _taken(folder: Path) -> int:
    """Bytes that all files of a VM take in the store; one that generations share counts once."""
    found = [path.lstat() for path in _files(folder)]
    return 512 * sum({(one.st_dev, one.st_ino): one.st_blocks for one in found}.values())


def _digests(folder: Path, manifest: Manifest, target: str) -> Path:
    file = merges.disk_of(manifest, target).list_file
    return folder / manifests.name(manifest.generation) / manifests.file_name(file)


def _check_room(folder: Path, needs: int, merge: Merge) -> None:
    free = exporter.room_at(str(folder)).available_bytes
    if free < needs + SPARE:
        raise Problem(
            "full",
            f"Merging {merge.target} of generation {merge.child} needs up to "
            f"{(needs + SPARE) >> 20} MiB of room in the store, and {free >> 20} MiB are free.",
        )


@contextlib.contextmanager
def _naming(merge: Merge) -> Iterator[None]:
    """What went wrong is said of the disk that it happened to."""
    what = f"{merge.target} of generation {merge.child}"
    try:
        yield
    except Problem as problem:
        if problem.code == "full":
            sentence = f"The store ran full while {what} was merged; it reads as before."
        else:
            sentence = f"{what} cannot be merged: {problem.sentence.rstrip('.')}."
        raise Problem(problem.code, sentence) from problem


def _tell(text: str) -> None:
    say({"event": "step", "text": text})


VERBS: dict[str, Callable[..., Any]] = {**keeper.VERBS, "prune": prune, "take_up": take_up}


def main() -> None:
    serve(VERBS)
