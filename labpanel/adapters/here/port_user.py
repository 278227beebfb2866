"""Who listens on a TCP port of this machine, by the kernel's own tables (proc(5)).

/proc/net/tcp and tcp6 name a listening socket's inode; the process that holds it has it among its
descriptors. Another user's descriptors are not readable, so without root the answer may be "".
"""

import ipaddress
import sys
from pathlib import Path

from labpanel.lib.printable import printable

_LISTEN = "0A"
_PROC = Path("/proc")
_SHOWN = 80  # characters of a command line


def used_by(address: str, port: int) -> str:
    """`port 8000 on 127.0.0.1 is used by …`, "" where no process listens there."""
    inodes = _inodes(address, port)
    if not inodes:
        return ""
    return f"port {port} on {address} is used by {_holder(inodes)}"


def _inodes(address: str, port: int) -> set[str]:
    """Of sockets that listen on this address or on all."""
    wanted = _wanted(address)
    found = set()
    for table in ("tcp", "tcp6"):
        try:
            lines = (_PROC / "net" / table).read_text("ascii").splitlines()[1:]
        except OSError:  # a kernel without IPv6
            continue
        for words in map(str.split, lines):
            host, _, number = words[1].partition(":")
            if words[3] != _LISTEN or int(number, 16) != port:
                continue
            listens = _address(host)
            if wanted.is_unspecified or listens.is_unspecified or listens == wanted:
                found.add(words[9])
    return found


def _wanted(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """A name may lead to several addresses: as all of them."""
    try:
        return ipaddress.ip_address(address)
    except ValueError:
        return ipaddress.IPv4Address(0)


def _address(digits: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The tables print words of four bytes in the order of the machine."""
    raw, step = bytes.fromhex(digits), -1 if sys.byteorder == "little" else 1
    whole = b"".join(raw[start : start + 4][::step] for start in range(0, len(raw), 4))
    found = ipaddress.ip_address(whole)
    mapped = getattr(found, "ipv4_mapped", None)
    return mapped or found


def _holder(inodes: set[str]) -> str:
    links = {f"socket:[{inode}]" for inode in inodes}
    for folder in _PROC.iterdir():
        if folder.name.isdigit() and _holds(folder, links):
            return _named(folder)
    return "another program; only root may see which"


def _holds(folder: Path, links: set[str]) -> bool:
    try:
        return any(_link(handle) in links for handle in (folder / "fd").iterdir())
    except OSError:
        return False  # it ended, or belongs to another user


def _link(handle: Path) -> str:
    try:
        return str(handle.readlink())
    except OSError:
        return ""


def _named(folder: Path) -> str:
    words = _strings(folder / "cmdline")
    if "labpanel.door" in words:
        home = next(
            (w[14:] for w in _strings(folder / "environ") if w.startswith("LABPANEL_HOME=")), ""
        )
        return f"the panel of {printable(home or '(unknown)', 200)} (process {folder.name})"
    what = " ".join([Path(words[0]).name, *words[1:]]) if words else "a program"
    return f'"{printable(what, _SHOWN)}" (process {folder.name})'


def _strings(path: Path) -> list[str]:
    try:
        return [each.decode("utf-8", "replace") for each in path.read_bytes().split(b"\0") if each]
    except OSError:
        return []
