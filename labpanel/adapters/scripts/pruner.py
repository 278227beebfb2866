"""Drops generations of a VM from a store by merging. Runs on the store's machine, under a journal.

Whatever is dropped, no other generation's view ever changes, and a kill at any point is taken up
again. First every kept disk that backs on a dropped generation, but has a kept one further below,
is rebuilt on that one: until then nothing is lost by giving up. Then, where the oldest goes, what
is above it is committed into its image, which takes the place of the oldest that stays. Only when
every child is proven (its whole content against its digests), the files of the dropped ones go.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from labpanel.adapters.scripts import (
    exporter,
    keeper,
    locks,
    manifests,
    merges,
    rebuilder,
    surroundings,
)
from labpanel.adapters.scripts.journal import JOURNAL, MERGING, Journal, begun
from labpanel.adapters.scripts.merges import Merge
from labpanel.adapters.scripts.wire import Problem, run, say, serve

SPARE = 16 << 20  # room for qcow2's own tables, and for the journal
CHECKED = (0, 3)  # of qemu-img check: clean, or leaked clusters only


def prune(store: str, panel_id: str, store_id: str, vm_uuid: str, drop: list[str]) -> Any:
    """Drop the generations in `drop`, after what an earlier change has left half-done:
    `{"dropped": keys, "freed_bytes", "left": paths of files that are not ours}`."""
    folder = _folder(store, panel_id, store_id, vm_uuid)
    before = _taken(folder)
    done = _take_up(folder)
    listed = _listed(folder)
    _none_is_mute(folder, listed)
    going = {key: listed[key] for key in drop if key in listed}
    if going:
        journal = Journal(folder, going, {})
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
    surroundings.checked_marker(store, panel_id, store_id)
    locks.lock(store, vm_uuid, exclusive=True)
    return manifests.vm_folder(store, vm_uuid)


def _take_up(folder: Path) -> list[str]:
    journal = begun(folder)
    if journal is None:
        return []
    journal.enter_all()
    if journal.stage != MERGING:
        journal.close()
        return []
    journal.unlist()
    return _merge(journal)


def _listed(folder: Path) -> dict[str, Any]:
    """Key → manifest of the generations that are whole enough to say what they are."""
    found = {}
    for place in sorted(folder.glob(f"*/{manifests.MANIFEST}")):
        manifest, _ = manifests.read(place)
        if manifests.KEY.match(place.parent.name) and manifest is not None:
            found[place.parent.name] = manifest
    return found


def _none_is_mute(folder: Path, listed: Mapping[str, Any]) -> None:
    """Who cannot say what its images back on might back on what is to go."""
    for entry in surroundings.mute(folder, listed):
        raise Problem(
            "damaged",
            f"The manifest of generation {entry} cannot be read, so nobody knows what it is built "
            f"on: nothing of this VM is dropped here until it is mended (./panel mend {entry}).",
        )


def _rebuild(journal: Journal, listed: Mapping[str, Any]) -> None:
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


def _one_rebuild(journal: Journal, listed: Mapping[str, Any], merge: Merge) -> None:
    target, child, parent = merge.target, merge.child, merge.parent
    _tell(f"Rebuilding {target} of {child} on top of {parent or 'nothing'}.")
    disk = merges.disk_of(listed[child], target)
    wanted = rebuilder.list_of(journal.folder, listed[child], target)
    below, backing = b"", ""
    if parent:
        below = rebuilder.list_below(journal.folder, listed[parent], target, len(wanted))
        under = merges.disk_of(listed[parent], target)
        backing = f"../{manifests.name(parent)}/{manifests.file_name(under['file'])}"
    needs = rebuilder.bytes_to_hold(wanted, below, disk["virtual_bytes"])
    _check_room(journal.folder, min(needs, merges.stored_bytes(listed, merge)), merge)
    image, fresh = _image(journal.folder, listed, child, target), journal.fresh(child, disk["file"])
    view = exporter.serve_image(target, str(image), "qcow2", writable=False)
    with _naming(merge):
        try:
            size = disk["virtual_bytes"]
            rebuilder.build(target, fresh, backing, size, [[view, target]], wanted, below)
        finally:
            exporter.stop(view)
        rebuilder.prove(target, fresh, _digests(journal.folder, listed[child], target))
    journal.replace(child, target, fresh, parent or None)


def _check_commits(journal: Journal, listed: Mapping[str, Any], commits: list[Merge]) -> None:
    """What a commit destroys is worth nothing only when what stays is proven, and there is room."""
    needs = 0
    for merge in commits:
        folder, target = journal.folder, merge.target
        wanted = rebuilder.list_of(folder, listed[merge.child], target)
        base = rebuilder.list_below(folder, listed[merge.base], target, len(wanted))
        size = merges.disk_of(listed[merge.child], target)["virtual_bytes"]
        needs += rebuilder.bytes_to_hold(wanted, base, size)
        _check_room(folder, needs, merge)
        with _naming(merge):
            _tell(f"Reading {target} of {merge.child} before it is merged.")
            image = _image(folder, listed, merge.child, target)
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


def _commit(journal: Journal, listed: Mapping[str, Any], merge: Merge) -> None:
    """The child's content goes into the image of the oldest, which becomes the child's. At no time
    does what is read through the child change: its own clusters win, and they stay."""
    folder, target = journal.folder, merge.target
    _tell(f"Merging {target} of {merge.child} into the oldest image.")
    image = _image(folder, listed, merge.child, target)
    base = _image(folder, listed, merge.base, target)
    with _naming(merge):
        # A kill in the middle leaves clusters that nobody counts on.
        mend = ["qemu-img", "check", "-q", "-r", "leaks", "-f", "qcow2", "--", str(base)]
        run(mend, "damaged", f"{base} is damaged", ok=CHECKED)
        words = ["qemu-img", "commit", "-q", "-d", "-f", "qcow2", "-b", str(base), "--", str(image)]
        run(words, "commit", "it could not be merged")
        exporter.check(str(base), "qcow2")
        rebuilder.prove(target, base, _digests(folder, listed[merge.child], target))
    journal.replace(merge.child, target, base, None)


def _remove(place: Path, manifest: Mapping[str, Any]) -> None:
    """Remove what a generation wrote, and its folder unless somebody else put something there."""
    names = [manifests.MANIFEST, *manifest["files"]]
    for disk in manifest["disks"]:
        names += [disk["file"], disk["digests"]["file"]]
    for file in names:
        (place / manifests.file_name(file)).unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # it is gone, or not empty: `prune` says what is left
        place.rmdir()


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _taken(folder: Path) -> int:
    """Bytes that all files of a VM take in the store."""
    return sum(path.stat().st_blocks * 512 for path in _files(folder))


def _image(folder: Path, listed: Mapping[str, Any], key: str, target: str) -> Path:
    file = merges.disk_of(listed[key], target)["file"]
    return folder / manifests.name(key) / manifests.file_name(file)


def _digests(folder: Path, manifest: Mapping[str, Any], target: str) -> Path:
    file = merges.disk_of(manifest, target)["digests"]["file"]
    return folder / manifests.name(manifest["generation"]) / manifests.file_name(file)


def _check_room(folder: Path, needs: int, merge: Merge) -> None:
    free = exporter.room(str(folder))["available_bytes"]
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
