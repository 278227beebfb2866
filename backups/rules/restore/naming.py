"""Names for restored VMs and their files. Pure."""

import re
import unicodedata
from collections.abc import Collection
from datetime import datetime
from pathlib import PurePosixPath

# libvirt takes nearly anything as a name; a file name holds 255 bytes, with our endings in it.
_LONGEST = 200
# Linux takes 4096 (PATH_MAX); a UUID, a generation and a file come below it.
_LONGEST_PATH = 1000


def wrong_name(name: str) -> str:
    """Why `name` cannot be a VM's name; empty if it can. libvirt itself refuses only `/`, line
    breaks and emptiness (and names of blanks alone)."""
    if not name.strip():
        return "A VM needs a name."
    if "/" in name or any(unicodedata.category(letter).startswith("C") for letter in name):
        return "A VM's name has no slash and no control characters."
    if name in {".", ".."}:
        return f"A VM cannot be called “{name}”: libvirt makes folders and files of its name."
    if len(name.encode(errors="replace")) > _LONGEST:
        return f"A VM's name has {_LONGEST} bytes at most."
    return ""


def wrong_path(path: str) -> str:
    """Why `path` cannot be a folder on a host; empty if it can."""
    if not path.startswith("/"):
        return f"{path} is not an absolute path."
    if ".." in path.split("/"):
        return f"{path} goes up with “..”; name the folder itself."
    if any(unicodedata.category(letter).startswith("C") for letter in path):
        return f"{path} has control characters; choose another folder."
    if len(path.encode(errors="replace")) > _LONGEST_PATH:
        return f"A folder's path has {_LONGEST_PATH} bytes at most."
    return ""


def plain_path(path: str) -> str:
    """A right path (`wrong_path`) in the one form in which paths can be compared."""
    return str(PurePosixPath("/" + path.lstrip("/")))


def file_stem(name: str, fallback: str) -> str:
    """A file name's beginning from a VM's name: letters of any script, digits, `_`, `-`, `.`."""
    stem = re.sub(r"[^\w.-]+", "_", name).strip("._-")
    while len(stem.encode()) > _LONGEST:
        stem = stem[:-1]
    return stem or fallback


def copy_name(vm: str, taken_at: datetime, store: str, now: datetime) -> str:
    """ "home's copy from 05:28 (far)": a name for people, in the zone of `now`, with the date where
    it is not of today. Numbers of copies stand in the details."""
    then = taken_at.astimezone(now.tzinfo)
    date = "" if then.date() == now.date() else f"{then.day} {then:%b} "
    year = "" if then.year == now.year else f"{then.year} "
    return f"{vm}'s copy from {date}{year}{then:%H:%M} ({store})"


def free_name(name: str, taken: Collection[str]) -> str:
    """`name-restored`, or with a number, that no VM has."""
    for number in range(1, len(taken) + 2):
        tail = "" if number == 1 else f"-{number}"
        if f"{name}-restored{tail}" not in taken:
            return f"{name}-restored{tail}"
    raise AssertionError("more names than taken ones were tried")
