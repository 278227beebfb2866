"""Names for restored VMs and their files. Pure."""

import re
import unicodedata
from collections.abc import Collection

# libvirt takes nearly anything as a name; a file name holds 255 bytes, with our endings in it.
_LONGEST = 200


def wrong_name(name: str) -> str:
    """Why `name` cannot be a VM's name; empty if it can. libvirt itself refuses only `/`, line
    breaks and emptiness (and names of blanks alone)."""
    if not name.strip():
        return "A VM needs a name."
    if "/" in name or any(unicodedata.category(letter).startswith("C") for letter in name):
        return "A VM's name has no slash and no control characters."
    if len(name.encode()) > _LONGEST:
        return f"A VM's name has {_LONGEST} bytes at most."
    return ""


def file_stem(name: str, fallback: str) -> str:
    """A file name's beginning from a VM's name: letters of any script, digits, `_`, `-`, `.`."""
    stem = re.sub(r"[^\w.-]+", "_", name).strip("._-")
    while len(stem.encode()) > _LONGEST:
        stem = stem[:-1]
    return stem or fallback


def free_name(name: str, taken: Collection[str]) -> str:
    """`name-restored`, or with a number, that nobody has."""
    for number in range(1, len(taken) + 2):
        tail = "" if number == 1 else f"-{number}"
        if f"{name}-restored{tail}" not in taken:
            return f"{name}-restored{tail}"
    raise AssertionError("more names than taken ones were tried")
