"""JSON of the store's files: how it is written, and what an older file has otherwise. Standard
library only: it is also sent to hosts.

A seal and a signature cover the JSON of a manifest, not its meaning. Older versions left out keys
that had nothing to say, or wrote null or a whole number where this one writes an empty text or a
fraction. A value that was read keeps these differences beside its fields (`Spelling`), so that it
is written again byte for byte.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Optional

Json = dict[str, object]
# Key → the JSON text of its value in the file, or None where the file has no such key.
Spelling = tuple[tuple[str, Optional[str]], ...]


def canonical(value: object) -> bytes:
    """Sorted keys, no blanks: what seals and signatures are computed over."""
    return _canonical(value).encode()


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(value: object) -> str:
    return hashlib.sha256(canonical(value)).hexdigest()


def written(value: Mapping[str, object]) -> str:
    """The text of a JSON file of ours."""
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def seal(value: Mapping[str, object]) -> str:
    """The digest over all of a manifest, a marker or a journal but its seal."""
    return digest({key: value[key] for key in value if key != "seal"})


def spelling_of(given: Mapping[str, object], made: Mapping[str, object]) -> Spelling:
    """What `given` has otherwise than `made`, which means the same."""
    if _canonical(given) == _canonical(made):
        return ()
    keys = sorted(given.keys() | made.keys())
    texts = [(key, _text(given, key)) for key in keys]
    return tuple((key, text) for key, text in texts if text != _text(made, key))


def _text(value: Mapping[str, object], key: str) -> str | None:
    return _canonical(value[key]) if key in value else None


def spelled(made: Json, spelling: Spelling) -> Json:
    """The other way round: `made` as the file has it."""
    for key, text in spelling:
        if text is None:
            made.pop(key, None)
        else:
            made[key] = json.loads(text)
    return made


def without(spelling: Spelling, keys: Collection[str]) -> Spelling:
    """For a value in which `keys` are about to change: they are written as this version does."""
    return tuple(each for each in spelling if each[0] not in keys)
