"""Puts right what rotted in a store, file by file. Runs on the store's machine.

Nothing takes the place of a rotten file before it is proven: an image by its whole content against
its generation's digests, a list of digests by its root, any other file by its SHA-256 in the sealed
manifest. Images change under the journal of scripts/journal.py; what a kill left is taken up.
"""

import contextlib
import hashlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbd

from labpanel.adapters.scripts import (
    digests,
    exporter,
    keeper,
    manifests,
    merges,
    prover,
    pruner,
    rebuilder,
)
from labpanel.adapters.scripts.blocks import Side, digest_of, ranges, touched
from labpanel.adapters.scripts.journal import Journal
from labpanel.adapters.scripts.wire import Problem, say, serve

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
    size = merges.disk_of(found, target)["virtual_bytes"]
    blocks = [block for first, after in touched(bad, size) for block in range(first, after)]
    at = {block: _at(listed, block) for block in blocks}
    return {str(block): digest.hex() for block, digest in at.items() if digest != digests.ZERO}


def lacking(wanted: dict[str, str], views: list[list[str]]) -> list[list[int]]:
    """[first byte, byte after] of the wanted blocks that none of the views ([socket, export]) has:
    each block is read and held against its digest."""
    left, told_at = dict(wanted), 0.0
    for view in views:
        handle = Side(*view).connect()
        size = handle.get_size()
        for block in list(left):
            start = int(block) * digests.BLOCK
            if time.monotonic() - told_at > REPORT_SECONDS:
                told_at = time.monotonic()
                say({"event": "progress", "left": len(left)})
            with contextlib.suppress(nbd.Error):
                if start < size:
                    data = bytes(handle.pread(min(digests.BLOCK, size - start), start))
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
    parent, below, backing = disk.get("parent"), b"", ""
    if parent:
        under = _whole(folder, parent)
        below = rebuilder.list_of(folder, under, target)
        backing = f"../{manifests.name(parent)}/{merges.disk_of(under, target)['file']}"
    journal = Journal(folder, {}, {})
    journal.write()
    try:
        fresh = journal.fresh(key, disk["file"])
        size = disk["virtual_bytes"]
        with _own(folder / key / disk["file"], target) as own:
            rebuilder.build(target, fresh, backing, size, [*own, *views], listed, below)
        rebuilder.prove(target, fresh, folder / key / disk["digests"]["file"])
        journal.replace(key, target, fresh, parent)
    finally:
        journal.enter_all()
        journal.close()


@contextlib.contextmanager
def _own(path: Path, target: str) -> Iterator[list[list[str]]]:
    """The rotten image itself, whose good blocks are good; none if it cannot be opened."""
    try:
        socket = exporter.serve_image(target, str(path), "qcow2", writable=False)
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
    with _own(folder / key / disk["file"], target) as own:
        listed = bytes(prover.read_through(target, own[0], b"").found) if own else b""
    if hashlib.sha256(listed).hexdigest() != disk["root"]:
        raise Problem("damaged", f"the content of {target} is not whole, so it cannot prove a list")
    content = digests.header(disk["virtual_bytes"]) + listed
    _put(folder / key / disk["digests"]["file"], content)
    if hashlib.sha256(content).hexdigest() != disk["digests"]["sha256"]:
        # It was written with the header of an older format: the manifest says so from now on.
        disk["digests"]["sha256"] = hashlib.sha256(content).hexdigest()
        manifests.write_json(folder / key / manifests.MANIFEST, manifests.sealed(found))


def text(store: str, vm_uuid: str, key: str, name: str, content: str) -> None:
    """Put back a small file, whose content (hexadecimal) the manifest proves."""
    folder = manifests.vm_folder(store, vm_uuid)
    found = bytes.fromhex(content)
    expected = _whole(folder, key)["files"].get(name)
    if hashlib.sha256(found).hexdigest() != expected:
        raise Problem("damaged", f"the {name} that was found is another one")
    _put(folder / key / manifests.file_name(name), found)


def manifest(store: str, vm_uuid: str, key: str, found: dict[str, Any]) -> None:
    """Put back a manifest that the panel has a copy of; its seal must hold, and its images be as
    long as it says."""
    place = manifests.home(store, vm_uuid, key)
    if found.get("generation") != key or found.get("seal") != manifests.seal(found):
        raise Problem("damaged", "the panel's copy of it has no seal that holds")
    for disk in found["disks"]:
        path = place / manifests.file_name(disk["file"])
        if path.exists() and path.stat().st_size != disk["file_bytes"]:
            raise Problem("damaged", f"the panel's copy of it tells of another {disk['file']}")
    manifests.write_json(place / manifests.MANIFEST, found)


def _put(path: Path, content: bytes) -> None:
    fresh = path.with_name(f"fresh-{path.name}")
    fresh.write_bytes(content)
    manifests.sync(fresh)
    fresh.replace(path)
    manifests.sync(path.parent)


def _whole(folder: Path, key: str) -> dict[str, Any]:
    found, wrong = manifests.read(folder / manifests.name(key) / manifests.MANIFEST)
    if found is None:
        raise Problem("damaged", f"the {wrong} (generation {key})")
    return found


def _at(listed: bytes, block: int) -> bytes:
    return listed[block * digests.DIGEST_BYTES : (block + 1) * digests.DIGEST_BYTES]


VERBS: dict[str, Callable[..., Any]] = {
    **keeper.VERBS,
    "mend_ready": ready,
    "wanted": wanted,
    "lacking": lacking,
    "mend_image": image,
    "mend_list": list_again,
    "mend_text": text,
    "mend_manifest": manifest,
}


def main() -> None:
    serve(VERBS)
