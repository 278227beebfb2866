"""The end of a backup: what the store has is held against what was sent, signed, and published."""

import hashlib
from collections.abc import Mapping

from backups.services.index.signing import signed
from labpanel.adapters.store.keeper import Keeper
from labpanel.jobs.work import Failed
from labpanel.lib.store_format.manifest import Manifest
from labpanel.lib.store_format.spelling import Json

# What only the store's machine knows: it made these files.
_OF_THE_STORE = {"file_bytes", "sha256", "digests"}
_MADE_THERE = {"content", "seal", "files"}


def published(
    keeper: Keeper,
    vm_uuid: str,
    key: str,
    asked: Manifest,
    texts: Mapping[str, str],
    lying: Mapping[str, str],
) -> Manifest:
    """Finish a generation under way. `asked` is the manifest but for what the store adds: sizes and
    digests of files. A disk's `root` is the source's word, or follows from the signed one of its
    parent; `lying` are small files that lie there, with their SHA-256. Raises Failed if the store
    has something else than was sent; then nothing counts."""
    found = keeper.finish(vm_uuid, key, asked, texts, list(lying))
    wrong = _difference(asked, texts, lying, found)
    if wrong:
        raise Failed(f"What the store has of {key} is not what was sent: {wrong}.")
    whole = signed(found)
    keeper.publish(vm_uuid, key, whole)
    return whole


def _difference(
    asked: Manifest, texts: Mapping[str, str], lying: Mapping[str, str], found: Manifest
) -> str:
    """What differs, in words, or an empty text."""
    hashes = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}
    if found.digests_of_files != {**hashes, **lying}:
        return "a small file differs"
    name = _first(asked.as_json(), found.as_json(), _MADE_THERE | {"disks"})
    if name:
        return f"its {name} differs"
    there = {disk.target: disk for disk in found.disks}
    if there.keys() != {disk.target for disk in asked.disks}:
        return "it has other disks"
    for disk in asked.disks:
        name = _first(disk.as_json(), there[disk.target].as_json(), _OF_THE_STORE)
        if name:
            what = "list of digests" if name == "root" else name
            return f"the {what} of {disk.target} differs"
    return ""


def _first(sent: Json, there: Json, but: set[str]) -> str:
    """The first key, but for some, that does not say the same in both."""
    names = sorted((sent.keys() | there.keys()) - but)
    return next((name for name in names if sent.get(name) != there.get(name)), "")
