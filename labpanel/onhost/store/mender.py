"""Puts right what rotted in a store, file by file. Runs on the store's machine.

Nothing takes the place of a rotten file before it is proven: an image by its whole content against
its generation's digests, a list of digests by its root, any other file by its SHA-256 in the sealed
manifest. Images change under the journal of onhost/store/journal.py; what a kill left is taken up.
"""

import contextlib
import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import nbd

from labpanel.lib.store_format import digests as lists
from labpanel.lib.store_format import names
from labpanel.lib.store_format.journal import JournalFile
from labpanel.lib.store_format.manifest import DiskEntry, Manifest, belongs
from labpanel.lib.store_format.reading import checked
from labpanel.lib.strict_json import Malformed
from labpanel.onhost.blocks.blocks import Side, digest_at, digest_of, ranges, touched
from labpanel.onhost.images import exporter
from labpanel.onhost.runtime import inside
from labpanel.onhost.runtime.wire import Problem, say, serve
from labpanel.onhost.store import (
    keeper,
    manifests,
    merges,
    prover,
    pruner,
    rebuilder,
    small_files,
    stored,
)
from labpanel.onhost.store.journal import Journal

REPORT_SECONDS = 1


def ready(store: str, panel_id: str, store_id: str, vm_uuid: str) -> list[str]:
    """Lock the VM's generations for ourselves and bring to its end what an earlier change began."""
    done: list[str] = pruner.take_up(store, panel_id, store_id, vm_uuid)
    return done


def wanted(store: str, vm_uuid: str, key: str, target: str, bad: list[list[int]]) -> dict[str, str]:
    """Number → digest (hexadecimal) of the blocks within `bad` that are not zeros."""
    folder = manifests.vm_folder(store, vm_uuid)
    found = _whole(folder, key)
    listed = rebuilder.list_of(folder, found, target)
    size = merges.disk_of(found, target).virtual_bytes
    blocks = [block for first, after in touched(bad, size) for block in range(first, after)]
    at = {block: digest_at(listed, block) for block in blocks}
    return {str(block): digest.hex() for block, digest in at.items() if digest != lists.ZERO}


def lacking(wanted: dict[str, str], views: list[list[str]]) -> list[list[int]]:
    """[first byte, byte after] of the wanted blocks that none of the views ([socket, export]) has:
    each block is read and held against its digest."""
    left, told_at = dict(wanted), 0.0
    for view in views:
        handle = Side(*view).connect()
        size = handle.get_size()
        for block in list(left):
            start = int(block) * lists.BLOCK
            if time.monotonic() - told_at > REPORT_SECONDS:
                told_at = time.monotonic()
                say({"event": "progress", "left": len(left)})
            with contextlib.suppress(nbd.Error):
                if start < size:
                    data = bytes(handle.pread(min(lists.BLOCK, size - start), start))
                    if digest_of(data).hex() == left[block]:
                        del left[block]
        handle.shutdown()
    return ranges(int(block) for block in left)


def image(store: str, vm_uuid: str, key: str, target: str, views: list[list[str]]) -> None:
    """Make the image of one disk of a generation anew, out of what is left of it and of `views`."""
    folder = manifests.vm_folder(store, vm_uuid)
    found = _whole(folder, key)
    disk = merges.disk_of(found, target)
    listed = rebuilder.list_of(folder, found, target)
    parent, below, backing = disk.parent, b"", ""
    if parent:
        under = _whole(folder, parent)
        below = rebuilder.list_of(folder, under, target)
        backing = names.backing(manifests.name(parent), manifests.target_name(target))
    journal = Journal(folder, JournalFile())
    journal.write()
    try:
        fresh = journal.fresh(key, disk.file)
        size = disk.virtual_bytes
        with _own(folder, key, target) as own:
            rebuilder.build(target, fresh, backing, size, [*own, *views], listed, below)
        stack = stored.over(folder, (key, fresh.name), parent, target)
        rebuilder.prove(target, stack, folder / key / disk.list_file)
        journal.replace(key, target, fresh, parent)
    finally:
        journal.enter_all()
        journal.close()


@contextlib.contextmanager
def _own(folder: Path, key: str, target: str) -> Iterator[list[list[str]]]:
    """The rotten image itself, whose good blocks are good; none if it cannot be opened."""
    try:
        stack = stored.opened(folder, key, target)
        socket = exporter.serve_stack(target, stack, writable=False)
    except Problem:
        yield []
        return
    try:
        yield [[socket, target]]
    finally:
        exporter.stop(socket)


def list_again(store: str, vm_uuid: str, key: str, target: str) -> None:
    """Make a list of digests anew from the content, which must prove it by its root."""
    folder = manifests.vm_folder(store, vm_uuid)
    found = _whole(folder, key)
    disk = merges.disk_of(found, target)
    with _own(folder, key, target) as own:
        listed = bytes(prover.read_through(target, own[0], b"").found) if own else b""
    if hashlib.sha256(listed).hexdigest() != disk.root:
        raise Problem("damaged", f"the content of {target} is not whole, so it cannot prove a list")
    content = lists.header(disk.virtual_bytes) + listed
    _put(folder / key / disk.list_file, content)
    made = hashlib.sha256(content).hexdigest()
    if made != disk.list_sha256:
        # It was written with the header of an older format: the manifest says so from now on.
        disks = tuple(_with_list(each, target, made) for each in found.disks)
        manifests.write(folder / key, found.with_disks(disks))


def _with_list(disk: DiskEntry, target: str, sha256: str) -> DiskEntry:
    return replace(disk, list_sha256=sha256) if disk.target == target else disk


def text(store: str, vm_uuid: str, key: str, name: str) -> None:
    """Put a small file in place whose pieces were brought (small_files.fresh_piece), if it is the
    one that the manifest tells of."""
    folder = manifests.vm_folder(store, vm_uuid)
    expected = _whole(folder, key).digests_of_files.get(name, "")
    small_files.fresh_in_place(store, vm_uuid, key, name, expected)


def manifest(store: str, vm_uuid: str, key: str, found: object) -> None:
    """Put back a manifest that the panel has a copy of; its seal must hold, and its images be as
    long as it says."""
    place = manifests.home(store, vm_uuid, key)
    try:
        whole = checked(found)
        wrong = belongs(whole, key=key, vm_uuid=vm_uuid)
    except Malformed as error:
        raise _no_sense(str(error)) from None
    if wrong:
        raise _no_sense(wrong)
    for disk in whole.disks:
        path = place / manifests.file_name(disk.file)
        if path.exists() and path.stat().st_size != disk.file_bytes:
            raise Problem("damaged", f"the panel's copy of it tells of another {disk.file}")
    manifests.write(place, whole)


def _no_sense(wrong: str) -> Problem:
    return Problem("damaged", f"the panel's copy of it makes no sense: {wrong}")


def _put(path: Path, content: bytes) -> None:
    inside.put(path, content, names.fresh(path.name))


def _whole(folder: Path, key: str) -> Manifest:
    found, wrong = manifests.read(folder / manifests.name(key) / names.MANIFEST)
    if found is None:
        raise Problem("damaged", f"the {wrong} (generation {key})")
    return found


VERBS: dict[str, Callable[..., Any]] = {
    **keeper.VERBS,
    "mend_ready": ready,
    "wanted": wanted,
    "lacking": lacking,
    "mend_image": image,
    "mend_list": list_again,
    "mend_piece": small_files.fresh_piece,
    "mend_text": text,
    "mend_manifest": manifest,
}


def main() -> None:
    serve(VERBS)
