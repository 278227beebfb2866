"""A generation under way in a store: empty images on top of their parents, filled, then finished.

An image file is made as long (not as large: it is sparse) as it can become, since it is filled
through an NBD export of its bytes, which cannot grow, and its disk ends with a whole cluster,
since only such are compressed. `finish` cuts both.
"""

import errno
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from labpanel.lib.kept_files import BOOT, NVRAM, TPM
from labpanel.lib.store_format import names, spelling
from labpanel.lib.store_format.digests import LONGEST_LINE, end_of, header
from labpanel.lib.store_format.found import AskedDisk, BegunDisk
from labpanel.lib.store_format.manifest import DiskEntry, KeptFile, Manifest, Signature, belongs
from labpanel.lib.store_format.names import MANIFEST, NOTE
from labpanel.lib.store_format.reading import checked
from labpanel.lib.strict_json import Fields, Malformed, loads
from labpanel.onhost.blocks import digests
from labpanel.onhost.images import exporter, layers
from labpanel.onhost.runtime import inside
from labpanel.onhost.runtime.plain import at_most, reading
from labpanel.onhost.runtime.wire import Problem, run
from labpanel.onhost.store import manifests, stored
from labpanel.onhost.store.manifests import (
    CHUNK,
    file_name,
    home,
    name,
    read,
    sha256,
    target_name,
    wrong_sizes,
)

CLUSTER = 64 * 1024  # qcow2's own default
SECTOR = 512
MOST_NOTE = 64 << 10


def begin(
    store: str, panel_id: str, vm_uuid: str, key: str, disks: Sequence[AskedDisk]
) -> dict[str, BegunDisk]:
    """Make the partial generation; by target. A parent that cannot serve is left out, and `why`
    says what is wrong with it."""
    place = home(store, vm_uuid, key, partial=True)
    inside.make_folder(place.parent, exist_ok=True)
    inside.make_folder(place)
    inside.put(place / NOTE, spelling.written({"panel_id": panel_id}).encode())
    return {disk.target: _begin_disk(place, disk) for disk in disks}


def _begin_disk(place: Path, disk: AskedDisk) -> BegunDisk:
    target, virtual_bytes = target_name(disk.target), disk.virtual_bytes
    image, listed = place / names.image(target), place / names.digests(target)
    parent, why = disk.parent, ""
    if parent:
        try:
            _copy_list(place.parent / name(parent), target, disk.root, listed, virtual_bytes)
            _prove_opens(place.parent, parent, target)
            _create(image, virtual_bytes, names.backing(parent, target))
        except Problem as problem:
            if problem.code == "full":
                raise
            parent, why = "", problem.sentence
            inside.remove(image)
    if not parent:
        with os.fdopen(inside.made(listed), "wb") as file:
            file.write(header(virtual_bytes))
        _create(image, virtual_bytes, "")
    inside.cut(listed, -(-end_of(virtual_bytes) // SECTOR) * SECTOR)
    return BegunDisk(str(image), str(listed), parent, why)


def _prove_opens(folder: Path, parent: str, target: str) -> None:
    """Whether QEMU can open what the new image shall back on, all of its chain."""
    socket = exporter.serve_stack(target, stored.opened(folder, parent, target), writable=False)
    exporter.stop(socket)


def _create(path: Path, virtual_bytes: int, backing: str) -> None:
    whole = -(-virtual_bytes // CLUSTER) * CLUSTER
    create(path, whole, backing)
    inside.cut(path, _longest(whole))


def create(path: Path, size: int, backing: str) -> None:
    """Make a compressed qcow2 image of `size` bytes, in place of what has that name; `backing` is
    relative to its folder, or ""."""
    words = ["qemu-img", "create", "-q", "-f", "qcow2", "-o", "compression_type=zstd"]
    if backing:
        words += ["-u", "-b", backing, "-F", "qcow2"]
    handle = inside.made(path)
    try:
        words += ["--", f"/proc/self/fd/{handle}", str(size)]
        run(words, "create", f"{path} could not be made", handles=(handle,))
    finally:
        os.close(handle)


def _longest(virtual_bytes: int) -> int:
    """Bytes that a qcow2 image of this virtual size can need: `qemu-img measure` for a full one,
    and a little for compressed clusters that share none of their last sectors."""
    words = ["qemu-img", "measure", "--output=json", "-O", "qcow2", "--size", str(virtual_bytes)]
    measured = json.loads(run(words, "create", "qemu-img measure failed"))
    return int(measured["fully-allocated"]) * 51 // 50 + (16 << 20)


def _copy_list(parent: Path, target: str, root: str, path: Path, virtual_bytes: int) -> None:
    """The parent's list under a header of our own, cut or filled up with zeros to our size. It must
    be the one that the panel knows: a digest that rotted, or that others wrote there together with
    the image and the manifest, would hide a change for ever."""
    found, damage = read(parent / MANIFEST)
    if found is None:
        raise Problem("parent", f"Generation {parent.name} is damaged: {damage}.")
    disk = found.disk(target)
    if disk is None:
        raise Problem("parent", f"Generation {parent.name} does not hold {target}.")
    source, digest = parent / file_name(disk.list_file), hashlib.sha256()
    try:
        with reading(source) as old, os.fdopen(inside.made(path), "wb") as new:
            old.readline(LONGEST_LINE)
            new.write(header(virtual_bytes))
            while chunk := old.read(CHUNK):
                digest.update(chunk)
                new.write(chunk)
    except FileNotFoundError:
        raise Problem("parent", f"{source.name} of generation {parent.name} is gone.") from None
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise
        what = f"{source.name} of generation {parent.name} cannot be read: {error.strerror}."
        raise Problem("parent", what) from error
    if digest.hexdigest() != root:
        what = f"{source.name} of generation {parent.name} is not what was written."
        raise Problem("parent", what)
    inside.cut(path, end_of(virtual_bytes))


def finish(
    store: str,
    vm_uuid: str,
    key: str,
    manifest: Manifest,
    files: Mapping[str, str],
    lying: Sequence[str] = (),
) -> Manifest:
    """Check and hash the images and lists, write `files`, sync, and give the manifest as it is to
    be published: the panel holds it against what it asked for, and signs it. `lying` are files that
    were written before (small_files.py)."""
    place = home(store, vm_uuid, key, partial=True)
    with ThreadPoolExecutor() as beside:
        # Writing out goes on beside the hashing. Its errors count: the kernel tells each only once.
        done = [_finish_disk(place, disk, beside) for disk in manifest.disks]
    for _, synced in done:
        synced.result()
    kept = []
    for file, text in files.items():
        content = bytes.fromhex(text[4:]) if text.startswith("hex:") else text.encode()
        inside.put(place / file_name(file), content)
        kept.append(KeptFile(file, hashlib.sha256(content).hexdigest()))
    for file in {NVRAM, *BOOT, *TPM} - {*lying, *files}:
        inside.remove(place / file)  # one that changed too often while it was read
    for file in lying:
        inside.sync(place / file_name(file))
        kept.append(KeptFile(file, sha256(place / file)))
    inside.sync_folder(place)
    disks = tuple(disk for disk, _ in done)
    return replace(manifest.with_disks(disks), files=tuple(sorted(kept, key=_by_name)))


def _by_name(file: KeptFile) -> str:
    return file.name


def publish(store: str, vm_uuid: str, key: str, manifest: Manifest) -> Manifest:
    """Write the manifest, sync, and give the generation its name; the manifest as it is there. Only
    from here on it counts."""
    place, final = home(store, vm_uuid, key, partial=True), home(store, vm_uuid, key)
    fitting = _fitting(manifest, vm_uuid, key)
    wrong = wrong_sizes(place, fitting.disks)
    if wrong:
        raise Problem("damaged", f"{wrong}: generation {key} is not whole.")
    manifests.write(place, fitting)
    inside.remove(place / NOTE)
    inside.sync_folder(place)
    inside.move(place, final)
    for folder in (final, final.parent, Path(store)):
        inside.sync_folder(folder)
    return fitting


def sign(store: str, vm_uuid: str, key: str, signature: Signature, identity: str) -> Manifest:
    """Add the panel's signature to a complete generation's manifest, if what it says of itself is
    still what was signed (`Manifest.identity_digest`). The manifest as it is now."""
    place = home(store, vm_uuid, key)
    found, wrong = read(place / MANIFEST)
    if found is None:
        raise Problem("damaged", f"The {wrong} (generation {key}).")
    if found.identity_digest != identity:
        raise Problem("damaged", f"{MANIFEST} of generation {key} is not the one that was read.")
    fitting = _fitting(found.signed(signature), vm_uuid, key)
    manifests.write(place, fitting)
    return fitting


def _fitting(manifest: Manifest, vm_uuid: str, key: str) -> Manifest:
    """The manifest, sealed. What could not be read again is not written."""
    whole = manifest.sealed()
    try:
        wrong = belongs(checked(whole.as_json()), key=key, vm_uuid=vm_uuid)
    except Malformed as error:
        wrong = str(error)
    if wrong:
        raise Problem("manifest", f"The manifest of generation {key} makes no sense: {wrong}.")
    return whole


def _finish_disk(
    place: Path, disk: DiskEntry, beside: Executor
) -> tuple[DiskEntry, "Future[None]"]:
    path, listed = place / file_name(disk.file), place / file_name(disk.list_file)
    trim(path, disk.virtual_bytes)
    with layers.inner(path, "qcow2") as image:
        exporter.check_stack(image)
    synced = beside.submit(inside.sync, path)
    made = disk.stored(file_bytes=path.stat().st_size, sha256=sha256(path))
    inside.cut(listed, end_of(disk.virtual_bytes))
    inside.sync(listed)
    root = hashlib.sha256(digests.read(str(listed))).hexdigest()
    return replace(made, root=root, list_sha256=sha256(listed)), synced


def trim(path: Path, virtual_bytes: int) -> None:
    """Give an image its true virtual size, check it and cut what lies behind its end."""
    with layers.inner(path, "qcow2") as image:
        if virtual_bytes % CLUSTER:  # else it was made with its true size
            resize, what = ["qemu-img", "resize", "-q", "--shrink"], f"{path} cannot be cut"
            size = str(virtual_bytes)
            layers.tool(resize, image, size, code="damaged", what=what, writable=True)
        words, what = ["qemu-img", "check", "--output=json"], f"{path} is damaged"
        report = json.loads(layers.tool(words, image, code="damaged", what=what, ok=(0, 3)))
    inside.cut(path, report["image-end-offset"])


def drop(store: str, vm_uuid: str, key: str, panel_id: str, *, known: bool = False) -> bool:
    """Remove a partial generation of ours; True if there was one. One that the panel knows by its
    name is ours whatever became of the note in it: the drive that broke the backup may have taken
    that too."""
    place = home(store, vm_uuid, key, partial=True)
    if not place.is_dir():
        return False
    if not known and not _is_of(place / NOTE, panel_id):
        raise Problem("foreign", f"{place} belongs to another panel.")
    inside.remove_tree(place)
    return True


def _is_of(note: Path, panel_id: str) -> bool:
    """Whether a partial generation is this panel's. One that does not say, or not any more, was
    left by a kill at its beginning."""
    try:
        fields = Fields(loads(at_most(note, MOST_NOTE), MOST_NOTE))
        return fields.text("panel_id", most=64) == panel_id
    except (Malformed, FileNotFoundError):
        return True
    except OSError:
        return False  # a link, a pipe, a folder: no session of ours left that
