"""What a store's machine answers, as closed values. It is believed no more than the store itself.

An answer that makes no sense ends the work with that store; a generation that makes none is a fault
of that generation.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from labpanel.adapters.errors import AdapterError
from labpanel.lib.kept_files import PIECE
from labpanel.lib.printable import printable
from labpanel.lib.store_format.found import AskedDisk, BegunDisk, Entry
from labpanel.lib.store_format.manifest import Manifest, belongs
from labpanel.lib.store_format.names import KEY
from labpanel.lib.store_format.reading import ID, checked
from labpanel.lib.strict_json import Fields, Malformed

MOST_GENERATIONS, MOST_NAMES = 50_000, 1000
MOST_WORDS = 500
T = TypeVar("T")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_HEX = re.compile(r"(?:[0-9a-f]{2})*")


class BadAnswer(AdapterError):
    """The program of ours on a store's machine answered with something that it never says."""

    def __init__(self, machine: str, error: Malformed) -> None:
        super().__init__(f"The answer of {machine} makes no sense: {error}.")


@dataclass(frozen=True, slots=True)
class Looked:
    """A look at a store. `partials` are (UUID of the VM, key); `pruned` keys of generations that
    are none any more; `unread` leads from a VM's UUID to why its folder cannot be looked into."""

    path: str
    size_bytes: int
    available_bytes: int
    read_only: bool
    strangers: tuple[str, ...]
    entries: tuple[Entry, ...]
    partials: tuple[tuple[str, str], ...]
    pruned: tuple[str, ...]
    unread: Mapping[str, str]


def looked(answer: object, told: Iterable[object], store_id: str) -> Looked:
    """From the answer to `look` and the events before it. Raises Malformed."""
    fields = Fields(answer)
    entries = [_entry(event, store_id) for event in told]
    found = Looked(
        path=fields.text("path"),
        size_bytes=fields.integer("size_bytes"),
        available_bytes=fields.integer("available_bytes"),
        read_only=fields.boolean("read_only"),
        strangers=_names(fields, "strangers"),
        entries=_once(entry for entry in entries if entry),
        partials=_partials(fields),
        pruned=tuple(
            key for key in _names(fields, "pruned", MOST_GENERATIONS) if KEY.fullmatch(key)
        ),
        unread=_unread(fields),
    )
    if len(entries) > MOST_GENERATIONS:
        raise Malformed(f"it tells of more than {MOST_GENERATIONS} generations")
    return found


def marker_id(answer: object) -> str:
    """The store's ID in the answer to `init`. Raises Malformed."""
    return Fields(answer).like("store_id", ID, "a store's ID")


def manifest(answer: object, vm_uuid: str, key: str, store_id: str) -> Manifest:
    """A manifest that was asked for by VM and generation. Raises Malformed."""
    found = checked(answer)
    wrong = belongs(found, key=key, vm_uuid=vm_uuid, store_id=store_id)
    if wrong:
        raise Malformed(wrong)
    return found


def read_manifest(answer: object, vm_uuid: str, key: str) -> tuple[Manifest | None, str]:
    """The manifest as it lies there, or what is wrong with it: the end of a sentence about it.
    Raises Malformed."""
    fields = Fields(answer)
    wrong = plain(fields.text("wrong", free=True))
    if not fields.has("manifest"):
        return None, wrong or "is not told"
    try:
        return manifest(fields.given["manifest"], vm_uuid, key, ""), ""
    except Malformed as error:
        return None, f"makes no sense: {error}"


def wrong_files(answer: object, asked: Mapping[str, str]) -> dict[str, str]:
    """Name → what is wrong with that file, of those that were asked for. Raises Malformed."""
    fields = Fields(answer)
    found = {name: plain(fields.text(name, free=True)) for name in asked if name in fields.names()}
    fields.end()
    return found


def number(answer: object) -> int:
    """A number of bytes. Raises Malformed."""
    return Fields({"bytes": answer}).integer("bytes")


def numbers(answer: object, asked: Sequence[str]) -> dict[str, int]:
    """A number of bytes for each of the names that were asked for. Raises Malformed."""
    fields = Fields(answer)
    found = {name: fields.integer(name) for name in asked}
    fields.end()
    return found


def piece(answer: object) -> str:
    """At most PIECE bytes as hexadecimal digits. Raises Malformed."""
    if not isinstance(answer, str) or len(answer) > 2 * PIECE or not _HEX.fullmatch(answer):
        raise Malformed("it sends something else than a piece of a file")
    return answer


def keys(answer: object) -> list[str]:
    """A list of names of generations. Raises Malformed."""
    return [key for key in sentences(answer) if KEY.fullmatch(key)]


def begun(answer: object, asked: Sequence[AskedDisk]) -> dict[str, BegunDisk]:
    """The answer to `begin`: target → what was made, of the disks that were asked for. Raises
    Malformed."""
    fields, found = Fields(answer), {}
    for disk in asked:
        one = fields.fields(disk.target)
        parent = one.maybe_like("parent", KEY, "the name of a generation")
        if parent not in {"", disk.parent}:
            raise Malformed(f"{disk.target} backs on another generation than was asked for")
        why = plain(one.text("why", free=True))
        found[disk.target] = BegunDisk(one.text("image"), one.text("digests"), parent, why)
    return found


def sentences(answer: object) -> list[str]:
    """A list of sentences. Raises Malformed."""
    fields = Fields({"": answer})
    return list(_names(fields, ""))


def plain(text: str) -> str:
    """Words of a store's machine, short and on one line."""
    return printable(text, MOST_WORDS)


def checked_by(parse: Callable[..., T], machine: str, *answer: object) -> T:
    """What `parse` makes of an answer of this machine. Raises BadAnswer."""
    try:
        return parse(*answer)
    except Malformed as error:
        raise BadAnswer(machine, error) from error


def _entry(event: object, store_id: str) -> Entry | None:
    """None for one that does not even say where it lies."""
    try:
        fields = Fields(event)
        key, uuid = fields.like("key", KEY, "a name"), fields.like("vm_uuid", _UUID, "a UUID")
    except Malformed:
        return None
    assert isinstance(event, dict)
    damage, found = event.get("damage", ""), None
    damage = plain(damage) if isinstance(damage, str) else "what is wrong with it is not said"
    if "manifest" in event:
        try:
            found = manifest(event["manifest"], uuid, key, store_id)
        except Malformed as error:
            damage = f"manifest.json makes no sense: {error}"
    elif not damage:
        damage = "manifest.json is not told"
    return Entry(key, uuid, found, damage)


def _once(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """A generation lies in one folder: what is told twice is told by no store."""
    found: dict[str, Entry] = {}
    for entry in entries:
        if entry.key in found:
            wrong = "it lies there twice, for two VMs"
            found[entry.key] = Entry(entry.key, found[entry.key].vm_uuid, None, wrong)
        else:
            found[entry.key] = entry
    return tuple(found.values())


def _names(fields: Fields, key: str, most: int = MOST_NAMES) -> tuple[str, ...]:
    return tuple(plain(each) for each in fields.entries(key, most) if isinstance(each, str))


def _partials(fields: Fields) -> tuple[tuple[str, str], ...]:
    return tuple(
        (
            each.like("vm_uuid", _UUID, "a UUID"),
            each.like("key", KEY, "the name of a generation"),
        )
        for each in fields.objects("partials", MOST_GENERATIONS)
    )


def _unread(fields: Fields) -> dict[str, str]:
    return {
        each.like("vm_uuid", _UUID, "a UUID"): plain(each.text("damage", free=True))
        for each in fields.objects("unread", MOST_GENERATIONS)
    }
