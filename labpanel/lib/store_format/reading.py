"""Reads a manifest into values: what a store says of a copy, or nothing. Standard library only: it
is also sent to hosts.

A store may be an old disk, a NAS or a machine of others: what lies in it is believed only as far as
it fits this. `parse` takes the bytes of a manifest.json, `checked` what was decoded already (a
script's answer, a row of the index), `manifest.belongs` says whether it tells of the folder that it
lies in. Versions of the format that are not known here are refused.
"""

import re
import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from labpanel.lib import left_out
from labpanel.lib.store_format import names, spelling
from labpanel.lib.store_format.digests import BLOCK
from labpanel.lib.store_format.manifest import DiskEntry, KeptFile, Manifest, Signature
from labpanel.lib.store_format.names import FILE, KEY, TARGET
from labpanel.lib.strict_json import Fields, Malformed, loads

MOST_BYTES = 4 << 20
MOST_DISKS, MOST_FILES, MOST_STAMPS = 128, 16, 256
MOST_CHAIN, MOST_PATH = 128, 4096
MOST_RANGES = 20_000  # of all disks
MOST_DISK_BYTES = 2**46  # 64 TiB: its list of digests has 4 GiB
FORMATS = (1, 2)
CONSISTENCIES = ("quiesced", "crash-consistent", "powered off")
MODES = ("full", "full read", "bitmap", "unchanged", "deep")
SOURCE_FORMATS = ("raw", "qcow2")
HEX = re.compile(r"[0-9a-f]{64}")
ID = re.compile(r"[A-Za-z0-9-]{1,64}")
_KEY_ID = re.compile(r"[0-9a-f]{16}")
_HOST = re.compile(r"[^\s/]{1,63}")
_NODE = re.compile(r"[A-Za-z0-9_.-]{0,64}")
_CHECKPOINT = re.compile(r"[A-Za-z0-9._-]{0,100}")
_NAME = re.compile(r"[^/]{1,255}")
_NVRAM = re.compile(r"(/.*)?")
_NO_PATH = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_OURS = {names.MANIFEST, names.NOTE}  # names that no file of a generation has
_YEARS = range(2000, 2200)


def parse(raw: bytes) -> Manifest:
    """From the bytes of a manifest.json. Raises Malformed, and nothing else."""
    return checked(loads(raw, MOST_BYTES))


def checked(value: object) -> Manifest:
    """From decoded JSON. Raises Malformed with what is wrong, and nothing else."""
    found, fields = unsealed(value), Fields(value)
    if found.format == 1 and not {"seal", "content"} & fields.given.keys():
        return replace(found, is_sealed=False)
    made = found.as_json()
    for key in ("content", "seal"):
        if fields.like(key, HEX, "a digest") != made[key]:
            raise Malformed(f"its {key} does not fit what it says")
    return found


def unsealed(value: object) -> Manifest:
    """The same whatever its digests say, or where it has none: for one under way. It is sealed."""
    fields = Fields(value)
    found = _manifest(fields)
    fields.end()
    made = replace(found, is_sealed=False).as_json()
    return replace(found, spelling=_spelling(fields.given, made))


def _spelling(given: Mapping[str, object], made: Mapping[str, object]) -> spelling.Spelling:
    """Of all but the disks, which have their own, and the digests, which follow from the rest."""
    apart = {"disks", "content", "seal"}
    return spelling.spelling_of(
        {key: given[key] for key in given if key not in apart},
        {key: made[key] for key in made if key not in apart},
    )


def _manifest(fields: Fields) -> Manifest:
    number = fields.integer("format")
    if number not in FORMATS:
        raise Malformed(f"it has the format {number}, which this labpanel does not know")
    vm, disks = fields.fields("vm"), _disks(fields)
    key = fields.like("generation", KEY, "the name of a generation")
    found = Manifest(
        format=number,
        generation=key,
        vm_uuid=_uuid(vm),
        vm_name=vm.like("name", _NAME, "a VM's name"),
        host=fields.like("host", _HOST, "a host's name"),
        store_id=fields.like("store_id", ID, "a store's ID"),
        panel_id=fields.like("panel_id", ID, "a panel's ID"),
        taken_at=_moment(fields),
        consistency=fields.one_of("consistency", CONSISTENCIES),
        disks=disks,
        files=_files(fields, disks),
        left_out=left_out.parse(fields),
        signature=_signature(fields),
        parent=fields.maybe_like("parent", KEY, "the name of a generation"),
        parent_content=fields.maybe_like("parent_content", HEX, "a digest"),
        policy=fields.text("policy", most=200, default=""),
        not_quiesced=fields.text("not_quiesced", free=True, default=""),
        nvram=fields.maybe_like("nvram", _NVRAM, "an absolute path"),
        libvirt=fields.integer("libvirt", most=10**12, default=0),
        qemu=fields.integer("qemu", most=10**12, default=0),
        boot=fields.text("boot", most=200, default=""),
        checkpoint=fields.like("checkpoint", _CHECKPOINT, "the name of a checkpoint", default=""),
    )
    vm.end()
    for disk in disks:
        if disk.parent == key:
            raise Malformed(f"{disk.target} backs on itself")
    fields.integer("block_bytes", least=BLOCK, most=BLOCK, default=BLOCK)
    for each in ("content", "seal"):
        fields.like(each, HEX, "a digest", default="")
    return found


def _uuid(vm: Fields) -> str:
    text = vm.text("uuid", most=36)
    try:
        if str(uuid.UUID(text)) == text:
            return text
    except ValueError:
        pass
    raise Malformed("vm.uuid is not a UUID")


def _moment(fields: Fields) -> datetime:
    try:
        found = datetime.fromisoformat(fields.text("taken_at", most=40))
    except ValueError as error:
        if isinstance(error, Malformed):
            raise
        raise Malformed("taken_at is not a date and time") from None
    if found.tzinfo is None or found.year not in _YEARS:
        raise Malformed("taken_at is not a date and time with a time zone of these centuries")
    return found


def _disks(fields: Fields) -> tuple[DiskEntry, ...]:
    found = tuple(_disk(each) for each in fields.objects("disks", MOST_DISKS))
    if not found:
        raise Malformed("it has no disk")
    if len({disk.target for disk in found}) != len(found):
        raise Malformed("a disk comes twice in it")
    if sum(len(disk.unreadable) + len(disk.missed) for disk in found) > MOST_RANGES:
        raise Malformed(f"it has more than {MOST_RANGES} ranges")
    return found


def _disk(fields: Fields) -> DiskEntry:
    target = fields.like("target", TARGET, "the name of a virtual disk")
    listed = fields.fields("digests")
    size = fields.integer("virtual_bytes", most=MOST_DISK_BYTES)
    room = size + BLOCK  # a range ends with its block, which may be longer than the disk
    _only(fields, "file", names.image(target))
    _only(listed, "file", names.digests(target))
    entry = DiskEntry(
        target=target,
        source=fields.text("source"),
        source_format=fields.one_of("source_format", SOURCE_FORMATS),
        mode=fields.one_of("mode", MODES),
        virtual_bytes=size,
        root=fields.like("root", HEX, "a digest"),
        read_bytes=fields.integer("read_bytes"),
        copied_bytes=fields.integer("copied_bytes"),
        seconds=fields.seconds("seconds"),
        file_bytes=fields.integer("file_bytes"),
        sha256=fields.like("sha256", HEX, "a digest"),
        list_sha256=listed.like("sha256", HEX, "a digest"),
        parent=fields.maybe_like("parent", KEY, "the name of a generation"),
        why=fields.text("why", free=True, default=""),
        unreadable=fields.ranges("unreadable", MOST_RANGES, room),
        missed=fields.ranges("missed", MOST_RANGES, room),
        candidate_bytes=fields.integer("candidate_bytes", default=0),
        # Inode, size and times of files: unsigned, and before 1970 negative.
        stamps=fields.integers("stamps", least=-(2**63), most=2**64 - 1, count=MOST_STAMPS),
        node=fields.like("node", _NODE, "a node's name", default=""),
        chain=_chain(fields),
        inode=fields.integer("inode", default=0),
        alike_bytes=fields.integer("alike_bytes", default=0),
        lost_bytes=fields.integer("lost_bytes", default=0),
    )
    listed.end()
    fields.end()
    return replace(entry, spelling=spelling.spelling_of(fields.given, entry.as_json()))


def _chain(fields: Fields) -> tuple[str, ...]:
    found = tuple(fields.entries("chain", MOST_CHAIN, default=()))
    if not all(isinstance(path, str) and fits_chain(path) for path in found):
        raise Malformed("chain of a disk holds what is not an absolute path")
    return found


def fits_chain(path: str) -> bool:
    """Whether a path may stand in a manifest's chain; it only tells a disk again, so one that does
    not fit is left out when it is written."""
    return path.startswith("/") and len(path) <= MOST_PATH and not _NO_PATH.search(path)


def _only(fields: Fields, key: str, name: str) -> None:
    fields.like(key, re.compile(re.escape(name)), name)


def _signature(fields: Fields) -> Signature | None:
    if not fields.has("signature"):
        fields.maybe_like("signature", HEX, "a signature")
        return None
    inner = fields.fields("signature")
    found = Signature(
        inner.like("key", _KEY_ID, "the name of a key"), inner.like("hmac", HEX, "a signature")
    )
    inner.end()
    return found


def _files(fields: Fields, disks: tuple[DiskEntry, ...]) -> tuple[KeptFile, ...]:
    inner = fields.fields("files")
    listed = inner.names()
    taken = {name for disk in disks for name in (disk.file, disk.list_file)} | _OURS
    if len(listed) > MOST_FILES:
        raise Malformed(f"files has more than {MOST_FILES} entries")
    for name in listed:
        if not FILE.fullmatch(name) or name in taken or name.startswith(names.FRESH):
            raise Malformed("files names what cannot be a small file of a generation")
    return tuple(KeptFile(name, inner.like(name, HEX, "a digest")) for name in sorted(listed))
