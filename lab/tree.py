"""List a folder inside a guest completely, so that two states can be compared."""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING, Any

from lab.agent import run_in_guest
from lab.commands import LabError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.layout import Host

DEADLINE = 180.0
"""Seconds to read and digest the folder; 400 files take 3 under emulation."""

FIELDS = ("type", "mode", "uid", "gid", "mtime", "size", "inode", "link", "path")
FORMAT = r"%y\0%m\0%U\0%G\0%T@\0%s\0%D:%i\0%l\0%P\0"

ESCAPE = re.compile(rb"\\([0-7]{3})")


def _run(host: Host, domain: str, script: str, path: str) -> bytes:
    done = run_in_guest(host, domain, ["/bin/sh", "-c", script, "sh", path], timeout=DEADLINE)
    if done.returncode != 0:
        reason = done.stderr.decode(errors="replace").strip()
        raise LabError(f"{path} in the guest {domain!r} can't be listed: {reason}")
    return done.stdout


def _records(data: bytes, size: int) -> Iterator[list[str]]:
    """Split NUL-ended fields into records of ``size``."""
    fields = [field.decode(errors="surrogateescape") for field in data.split(b"\0")[:-1]]
    for start in range(0, len(fields), size):
        yield fields[start : start + size]


def _digests(data: bytes) -> dict[str, str]:
    """`sha256sum --zero` output as path → digest."""
    lines = (line.decode(errors="surrogateescape") for line in data.split(b"\0") if line)
    return {line[66:].removeprefix("./"): line[:64] for line in lines}


def _unescape(name: bytes) -> str:
    """A name as getfattr prints it: control characters, `\\` and `=` in octal."""
    raw = ESCAPE.sub(lambda match: bytes([int(match[1], 8)]), name)
    return raw.decode(errors="surrogateescape")


def _attributes(data: bytes) -> dict[str, dict[str, str]]:
    """`getfattr -d -e hex` output as path → {name: hex}."""
    found: dict[str, dict[str, str]] = {}
    path = ""
    for line in data.splitlines():
        if line.startswith(b"# file: "):
            path = _unescape(line.removeprefix(b"# file: ")).removeprefix("./")
        elif b"=" in line:
            name, _, value = line.partition(b"=")
            found.setdefault(path, {})[_unescape(name)] = codecs.decode(value, "ascii")[2:]
    return found


def manifest(host: Host, domain: str, path: str = "/home") -> list[dict[str, Any]]:
    """Everything under ``path`` in the guest, ordered by path.

    Each entry: `{path, type, mode, uid, gid, mtime, size, sha256, link, hard_links,
    xattrs}`. `path` is relative, "" for the folder itself; `type` find's letter (f, d,
    l, p…); `mode` octal; `mtime` seconds with fraction, as text; `size` null for folders;
    `sha256` for files and `link` for symbolic links, else null; `hard_links` the
    other names of the same file, sorted; `xattrs` name → value in hex.
    """
    listing = _run(host, domain, f'cd "$1" && exec /usr/bin/find . -xdev -printf "{FORMAT}"', path)
    rows = [dict(zip(FIELDS, record, strict=True)) for record in _records(listing, len(FIELDS))]
    script = 'cd "$1" && /usr/bin/find . -xdev -type f -print0 | xargs -0 /usr/bin/sha256sum -z'
    digests = _digests(_run(host, domain, f"{script} --", path))
    script = 'cd "$1" && exec /usr/bin/getfattr -R -P -h -d -m - -e hex .'
    attributes = _attributes(_run(host, domain, script, path))
    names: dict[str, list[str]] = {}
    for row in rows:
        names.setdefault(row["inode"], []).append(row["path"])
    return sorted((_entry(row, digests, attributes, names) for row in rows), key=_path)


def _path(entry: dict[str, Any]) -> str:
    return str(entry["path"])


def _entry(
    row: dict[str, str],
    digests: dict[str, str],
    attributes: dict[str, dict[str, str]],
    names: dict[str, list[str]],
) -> dict[str, Any]:
    """Put one entry of the manifest together."""
    path = row["path"]
    return {
        "path": path,
        "type": row["type"],
        "mode": row["mode"],
        "uid": int(row["uid"]),
        "gid": int(row["gid"]),
        "mtime": row["mtime"],
        "size": None if row["type"] == "d" else int(row["size"]),
        "sha256": digests[path] if row["type"] == "f" else None,
        "link": row["link"] if row["type"] == "l" else None,
        "hard_links": sorted(name for name in names[row["inode"]] if name != path),
        "xattrs": attributes.get(path or ".", {}),
    }
