"""Minds a store: the directory on some machine in which generations lie. Standard library only.

    <store>/labpanel-store.json                  marker: format, store_id, panel_id
    <store>/<vm-uuid>/<generation>/              manifest.json last; its presence means complete
    <store>/<vm-uuid>/.<generation>.partial/     in progress: nothing was promised

Nothing is deleted but partial generations of our own panel. Paths are built from UUIDs and
generation names that are checked first, never from a VM's name.
"""

import base64
import hashlib
import json
import os
import re
import shutil
import threading
import uuid
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from labpanel.adapters.scripts import exporter
from labpanel.adapters.scripts.wire import Problem, run, say, serve

MARKER = "labpanel-store.json"
FORMAT = 1
CHUNK = 1 << 20
CLUSTER = 64 * 1024  # qcow2's own default
REPORT_BYTES = 256 << 20
_KEY = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{4,12}\Z")
_TARGET = re.compile(r"[A-Za-z0-9_-]{1,32}\Z")
_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}\Z")


def checked_marker(store: str, panel_id: str, store_id: str = "") -> dict[str, Any]:
    """The marker of an existing store, if it is ours and the one that was meant."""
    path = Path(store)
    if not path.is_dir():
        raise Problem("missing", f"{store} does not exist or is not a directory.")
    try:
        marker: dict[str, Any] = json.loads((path / MARKER).read_text("utf-8"))
    except FileNotFoundError:
        raise Problem(
            "not-a-store", f"{store} is not a store (any more): {MARKER} is gone."
        ) from None
    except ValueError:
        raise Problem("damaged", f"{store}/{MARKER} is damaged.") from None
    if marker.get("format") != FORMAT:
        raise Problem("format", f"{store} was written by another version of labpanel.")
    if marker.get("panel_id") != panel_id:
        raise Problem("foreign", f"{store} is used by another panel.")
    if store_id and marker.get("store_id") != store_id:
        raise Problem("swapped", f"{store} holds another store than the one that was added.")
    return marker


def init(store: str, panel_id: str, *, take_over: bool = False) -> dict[str, Any]:
    """Make an existing directory a store, or open the store that it is."""
    path = Path(store)
    if not path.is_absolute():
        raise Problem("path", f"{store} is not an absolute path.")
    if not path.is_dir():
        raise Problem("missing", f"{store} does not exist or is not a directory.")
    _prove_writable(path)
    if (path / MARKER).exists():
        if take_over:
            old = json.loads((path / MARKER).read_text("utf-8"))
            write_json(path / MARKER, {**old, "panel_id": panel_id})
        marker = checked_marker(store, panel_id)
    else:
        marker = {"format": FORMAT, "store_id": str(uuid.uuid4()), "panel_id": panel_id}
        write_json(path / MARKER, marker)
    return {**marker, **exporter.room(store)}


def _prove_writable(path: Path) -> None:
    """Write, sync and remove a file: permission bits alone say little (root, read-only mounts)."""
    probe = path / f".labpanel-{uuid.uuid4().hex}"
    try:
        with probe.open("xb") as file:
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        code = "full" if error.errno in {28, 122} else "not-writable"
        word = "is full" if code == "full" else f"cannot be written to ({error.strerror})"
        raise Problem(code, f"{path} {word}.") from None
    finally:
        probe.unlink(missing_ok=True)


def look(store: str, panel_id: str, store_id: str) -> dict[str, Any]:
    """Room, and the manifest of every complete generation: `{"manifest"}` or `{"damage"}`."""
    checked_marker(store, panel_id, store_id)
    found = []
    for place in sorted(Path(store).glob("*/*/manifest.json")):
        if _KEY.match(place.parent.name):
            found.append(_read_manifest(place))
    partials = [
        {"key": place.name[1:-8], "vm_uuid": place.parent.name}
        for place in sorted(Path(store).glob("*/.*.partial"))
        if _KEY.match(place.name[1:-8])
    ]
    return {**exporter.room(store), "generations": found, "partials": partials}


def _read_manifest(place: Path) -> dict[str, Any]:
    entry: dict[str, Any] = {"key": place.parent.name, "vm_uuid": place.parent.parent.name}
    try:
        found = json.loads(place.read_text("utf-8"))
        sizes = {str(disk["file"]): int(disk["file_bytes"]) for disk in found["disks"]}
    except (OSError, ValueError, LookupError, TypeError) as error:
        entry["damage"] = f"manifest.json cannot be read: {error}"
        return entry
    entry["manifest"] = found
    for name, expected in sizes.items():
        file = place.parent / name
        size = file.stat().st_size if file.exists() else -1
        if size != expected:
            what = "is gone" if size < 0 else f"has {size} bytes instead of {expected}"
            entry["damage"] = f"{name} {what}"
    return entry


def home(store: str, vm_uuid: str, key: str, *, partial: bool = False) -> Path:
    """A generation's directory, from parts that cannot lead out of the store."""
    if not _KEY.match(key):
        raise Problem("key", f"{key!r} is not the name of a generation.")
    try:
        folder = Path(store) / str(uuid.UUID(vm_uuid))
    except ValueError:
        raise Problem("key", f"{vm_uuid!r} is not a VM's UUID.") from None
    return folder / (f".{key}.partial" if partial else key)


def begin(
    store: str, panel_id: str, store_id: str, vm_uuid: str, key: str, disks: list[dict[str, Any]]
) -> dict[str, str]:
    """Make the partial generation and an empty zstd qcow2 for each disk; target → path.

    Each file is made as long (not as large: it is sparse) as the image can become, since it is
    filled through an NBD export of its bytes, which cannot grow, and its disk ends with a whole
    cluster, since only such are compressed. `finish` cuts both.
    """
    checked_marker(store, panel_id, store_id)
    place = home(store, vm_uuid, key, partial=True)
    place.parent.mkdir(mode=0o700, exist_ok=True)
    place.mkdir(mode=0o700)
    write_json(place / "labpanel.json", {"panel_id": panel_id})
    paths = {}
    for disk in disks:
        path = place / f"{_target(disk['target'])}.qcow2"
        words = ["qemu-img", "create", "-q", "-f", "qcow2", "-o", "compression_type=zstd"]
        virtual = int(disk["virtual_bytes"])
        whole = -(-virtual // CLUSTER) * CLUSTER
        run([*words, "--", str(path), str(whole)], "create", f"{path} could not be made")
        os.truncate(path, _longest(whole))
        paths[disk["target"]] = str(path)
    return paths


def _longest(virtual_bytes: int) -> int:
    """Bytes that a qcow2 image of this virtual size can need: `qemu-img measure` for a full one,
    and a little for compressed clusters that share none of their last sectors."""
    words = ["qemu-img", "measure", "--output=json", "-O", "qcow2", "--size", str(virtual_bytes)]
    measured = json.loads(run(words, "create", "qemu-img measure failed"))
    return int(measured["fully-allocated"]) * 51 // 50 + (16 << 20)


def trim(path: Path, virtual_bytes: int) -> None:
    """Give an image its true virtual size, check it and cut what lies behind its end."""
    resize = ["qemu-img", "resize", "-q", "--shrink", "-f", "qcow2", "--", str(path)]
    run([*resize, str(virtual_bytes)], "damaged", f"{path} cannot be cut")
    words = ["qemu-img", "check", "-f", "qcow2", "--output=json", "--", str(path)]
    report = json.loads(run(words, "damaged", f"{path} is damaged", ok=(0, 3)))
    os.truncate(path, report["image-end-offset"])


def _target(name: str) -> str:
    if not _TARGET.match(name):
        raise Problem("target", f"{name!r} is not the name of a virtual disk.")
    return name


def put_digests(
    store: str, vm_uuid: str, key: str, target: str, virtual_bytes: int, packed: str
) -> dict[str, Any]:
    """Write one disk's list of digests into the partial generation."""
    path = home(store, vm_uuid, key, partial=True) / f"{_target(target)}.digests"
    header = {
        "format": "labpanel digests 1",
        "digest": "the first 16 bytes of SHA-256, zeros for a block of zeros",
        "block_bytes": 262144,
        "virtual_bytes": virtual_bytes,
    }
    with path.open("xb") as file:
        file.write(json.dumps(header).encode() + b"\n")
        file.write(zlib.decompress(base64.b64decode(packed)))
    return {"file": path.name, "sha256": sha256(path)}


def finish(
    store: str, vm_uuid: str, key: str, manifest: dict[str, Any], files: dict[str, str]
) -> dict[str, Any]:
    """Check and hash the images, write `files` and the manifest, sync, and give it its name."""
    place = home(store, vm_uuid, key, partial=True)
    for disk in manifest["disks"]:
        path = place / disk["file"]
        trim(path, disk["virtual_bytes"])
        exporter.check(str(path), "qcow2")
        # Writing out goes on beside the hashing; `sync` below waits for what is left of it.
        threading.Thread(target=sync, args=(path,), daemon=True).start()
        disk["file_bytes"] = path.stat().st_size
        disk["sha256"] = sha256(path)
    manifest["files"] = {}
    for name, text in files.items():
        if not _FILE.match(name):
            raise Problem("file", f"{name!r} is not a name for a file of a generation.")
        content = bytes.fromhex(text[4:]) if text.startswith("hex:") else text.encode()
        (place / name).write_bytes(content)
        manifest["files"][name] = hashlib.sha256(content).hexdigest()
    (place / "labpanel.json").unlink()
    for path in place.iterdir():
        sync(path)
    write_json(place / "manifest.json", manifest)
    final = home(store, vm_uuid, key)
    place.rename(final)
    for folder in (final, final.parent, Path(store)):
        sync(folder)
    return manifest


def drop(store: str, vm_uuid: str, key: str, panel_id: str) -> bool:
    """Remove a partial generation of ours; True if there was one."""
    place = home(store, vm_uuid, key, partial=True)
    if not place.is_dir():
        return False
    note = place / "labpanel.json"
    if note.exists() and json.loads(note.read_text("utf-8")).get("panel_id") != panel_id:
        raise Problem("foreign", f"{place} belongs to another panel.")
    shutil.rmtree(place)
    if not any(place.parent.iterdir()):
        place.parent.rmdir()
    return True


def manifest(store: str, vm_uuid: str, key: str) -> dict[str, Any] | None:
    """A complete generation's manifest, or None."""
    path = home(store, vm_uuid, key) / "manifest.json"
    if not path.exists():
        return None
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


def read_text(store: str, vm_uuid: str, key: str, name: str) -> str:
    """A small file of a generation; hexadecimal digits after "hex:" unless it is text."""
    if not _FILE.match(name):
        raise Problem("file", f"{name!r} is not a file of a generation.")
    try:
        content = (home(store, vm_uuid, key) / name).read_bytes()
    except FileNotFoundError:
        raise Problem("damaged", f"{name} of generation {key} is gone.") from None
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return "hex:" + content.hex()


def rehash(store: str, vm_uuid: str, key: str, files: dict[str, str]) -> list[str]:
    """Level 1: read every file again; sentences on those that are not what was written."""
    place = home(store, vm_uuid, key)
    wrong = []
    for name, expected in files.items():
        path = place / name
        if not path.exists():
            wrong.append(f"{name} is gone")
        elif sha256(path, tell=True) != expected:
            wrong.append(f"{name} is not what was written")
    return wrong


def sha256(path: Path, *, tell: bool = False) -> str:
    digest, done, told = hashlib.sha256(), 0, 0
    size = path.stat().st_size
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            done += len(chunk)
            if tell and done - told >= REPORT_BYTES:
                told = done
                say(
                    {
                        "event": "progress",
                        "disk": path.name,
                        "done_bytes": done,
                        "total_bytes": size,
                    }
                )
    return digest.hexdigest()


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write whole or not at all, and durable."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_text(
        json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n", "utf-8"
    )
    sync(fresh)
    fresh.replace(path)
    sync(path.parent)


def sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


VERBS: dict[str, Callable[..., Any]] = {
    **exporter.VERBS,
    "init": init,
    "look": look,
    "begin": begin,
    "put_digests": put_digests,
    "finish": finish,
    "drop": drop,
    "manifest": manifest,
    "read_text": read_text,
    "rehash": rehash,
}


def main() -> None:
    serve(VERBS)
