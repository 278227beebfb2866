"""A generation under way in a store: empty images on top of their parents, filled, then finished.

An image file is made as long (not as large: it is sparse) as it can become, since it is filled
through an NBD export of its bytes, which cannot grow, and its disk ends with a whole cluster,
since only such are compressed. `finish` cuts both.
"""

import hashlib
import json
import os
import shutil
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from labpanel.adapters.scripts import digests, exporter
from labpanel.adapters.scripts.manifests import (
    CHUNK,
    MANIFEST,
    file_name,
    home,
    name,
    read,
    sealed,
    sha256,
    sync,
    target_name,
    write_json,
)
from labpanel.adapters.scripts.wire import Problem, run

CLUSTER = 64 * 1024  # qcow2's own default
SECTOR = 512


def begin(store: str, panel_id: str, vm_uuid: str, key: str, disks: list[dict[str, Any]]) -> Any:
    """Make the partial generation; target → `{"image", "digests", "parent", "why"}`.

    A disk is `{"target", "virtual_bytes", "parent"}`; `parent` is the generation that its image
    shall back on, or null. One that cannot serve is left out, and `why` says what is wrong with it.
    """
    place = home(store, vm_uuid, key, partial=True)
    place.parent.mkdir(mode=0o700, exist_ok=True)
    place.mkdir(mode=0o700)
    write_json(place / "labpanel.json", {"panel_id": panel_id})
    return {disk["target"]: _begin_disk(place, **disk) for disk in disks}


def _begin_disk(
    place: Path, target: str, virtual_bytes: int, parent: str | None = None
) -> dict[str, str]:
    image = place / f"{target_name(target)}.qcow2"
    listed = image.with_suffix(".digests")
    why = ""
    if parent:
        try:
            _copy_list(place.parent / name(parent), target, listed, virtual_bytes)
            _create(image, virtual_bytes, f"../{parent}/{target}.qcow2")
        except Problem as problem:
            if problem.code == "full":
                raise
            parent, why = None, problem.sentence
            image.unlink(missing_ok=True)
    if not parent:
        listed.write_bytes(digests.header(virtual_bytes))
        _create(image, virtual_bytes, "")
    os.truncate(listed, -(-_list_end(virtual_bytes) // SECTOR) * SECTOR)
    return {"image": str(image), "digests": str(listed), "parent": parent or "", "why": why}


def _create(path: Path, virtual_bytes: int, backing: str) -> None:
    whole = -(-virtual_bytes // CLUSTER) * CLUSTER
    words = ["qemu-img", "create", "-q", "-f", "qcow2", "-o", "compression_type=zstd"]
    if backing:
        words += ["-b", backing, "-F", "qcow2"]
    run([*words, "--", str(path), str(whole)], "create", f"{path} could not be made")
    os.truncate(path, _longest(whole))


def _longest(virtual_bytes: int) -> int:
    """Bytes that a qcow2 image of this virtual size can need: `qemu-img measure` for a full one,
    and a little for compressed clusters that share none of their last sectors."""
    words = ["qemu-img", "measure", "--output=json", "-O", "qcow2", "--size", str(virtual_bytes)]
    measured = json.loads(run(words, "create", "qemu-img measure failed"))
    return int(measured["fully-allocated"]) * 51 // 50 + (16 << 20)


def _list_end(virtual_bytes: int) -> int:
    blocks = -(-virtual_bytes // digests.BLOCK)
    return digests.LIST_AT + blocks * digests.DIGEST_BYTES


def _copy_list(parent: Path, target: str, path: Path, virtual_bytes: int) -> None:
    """The parent's list under a header of our own, cut or filled up with zeros to our size. It is
    held against the parent's manifest: a digest that rotted would hide a change for ever."""
    found, damage = read(parent / MANIFEST)
    if found is None:
        raise Problem("parent", f"Generation {parent.name} is damaged: {damage}.")
    listed = {disk["target"]: disk["digests"] for disk in found["disks"]}
    if target not in listed:
        raise Problem("parent", f"Generation {parent.name} does not hold {target}.")
    source, digest = parent / file_name(listed[target]["file"]), hashlib.sha256()
    try:
        with source.open("rb") as old, path.open("wb") as new:
            digest.update(old.readline())
            new.write(digests.header(virtual_bytes))
            while chunk := old.read(CHUNK):
                digest.update(chunk)
                new.write(chunk)
    except FileNotFoundError:
        raise Problem("parent", f"{source.name} of generation {parent.name} is gone.") from None
    if digest.hexdigest() != listed[target]["sha256"]:
        what = f"{source.name} of generation {parent.name} is not what was written."
        raise Problem("parent", what)
    os.truncate(path, _list_end(virtual_bytes))


def finish(
    store: str, vm_uuid: str, key: str, manifest: dict[str, Any], files: dict[str, str]
) -> dict[str, Any]:
    """Check and hash the images and lists, write `files` and the manifest, sync, and give it its
    name; the manifest as it was written."""
    place = home(store, vm_uuid, key, partial=True)
    with ThreadPoolExecutor() as beside:
        # Writing out goes on beside the hashing. Its errors count: the kernel tells each only once.
        synced = [_finish_disk(place, disk, beside) for disk in manifest["disks"]]
    for one in synced:
        one.result()
    manifest["files"] = {}
    for file, text in files.items():
        content = bytes.fromhex(text[4:]) if text.startswith("hex:") else text.encode()
        (place / file_name(file)).write_bytes(content)
        manifest["files"][file] = hashlib.sha256(content).hexdigest()
    (place / "labpanel.json").unlink()
    for path in place.iterdir():
        sync(path)
    manifest = sealed(manifest)
    write_json(place / MANIFEST, manifest)
    final = home(store, vm_uuid, key)
    place.rename(final)
    for folder in (final, final.parent, Path(store)):
        sync(folder)
    return manifest


def _finish_disk(place: Path, disk: dict[str, Any], beside: Executor) -> "Future[None]":
    path = place / f"{target_name(disk['target'])}.qcow2"
    trim(path, disk["virtual_bytes"])
    exporter.check(str(path), "qcow2")
    synced = beside.submit(sync, path)
    disk.update(file=path.name, file_bytes=path.stat().st_size, sha256=sha256(path))
    listed = path.with_suffix(".digests")
    os.truncate(listed, _list_end(disk["virtual_bytes"]))
    root = hashlib.sha256(digests.read(str(listed))).hexdigest()
    disk.update(root=root, digests={"file": listed.name, "sha256": sha256(listed)})
    return synced


def trim(path: Path, virtual_bytes: int) -> None:
    """Give an image its true virtual size, check it and cut what lies behind its end."""
    if virtual_bytes % CLUSTER:  # else it was made with its true size
        resize = ["qemu-img", "resize", "-q", "--shrink", "-f", "qcow2", "--", str(path)]
        run([*resize, str(virtual_bytes)], "damaged", f"{path} cannot be cut")
    words = ["qemu-img", "check", "-f", "qcow2", "--output=json", "--", str(path)]
    report = json.loads(run(words, "damaged", f"{path} is damaged", ok=(0, 3)))
    os.truncate(path, report["image-end-offset"])


def drop(store: str, vm_uuid: str, key: str, panel_id: str) -> bool:
    """Remove a partial generation of ours; True if there was one."""
    place = home(store, vm_uuid, key, partial=True)
    if not place.is_dir():
        return False
    note = place / "labpanel.json"
    if note.exists() and json.loads(note.read_text("utf-8")).get("panel_id") != panel_id:
        raise Problem("foreign", f"{place} belongs to another panel.")
    shutil.rmtree(place)
    return True
