"""A command line for a login shell that may be any: sh, bash, csh, tcsh, fish.

ssh hands one text to the user's login shell (sshd(8), "LOGIN PROCESS"), and shells differ: csh ends
a quoted word at a line break and replaces "!" in it, fish reads "\\\\" in it as one. So whatever is
more than plain words goes through sh(1), written in characters that mean the same to all of them.
"""

import re
import shlex
from collections.abc import Sequence

# Messages are read by the panel, and names of files are UTF-8, whatever a host's locale is.
LOCALE = ("env", "LC_ALL=C")
_PLAIN = re.compile(r"[A-Za-z0-9 _./:,=@+-]*")
_BYTE = re.compile(rb"[^A-Za-z0-9_./:,=@+-]")
# printf's %b (POSIX) reads "\\0ooo"; its arguments are put together without anything between.
_DECODE = 'eval "exec $(printf %b "$@")"'
# The csh of BSD takes no word beyond 1 KiB.
_LONGEST = 800


def command_line(words: Sequence[str]) -> str:
    plain = shlex.join([*LOCALE, *words])
    if _PLAIN.fullmatch(plain):
        return plain
    written = _BYTE.sub(
        lambda match: b"\\%04o" % match[0][0], plain.encode("utf-8", "surrogateescape")
    )
    parts = _parts(written.decode("ascii"))
    return " ".join([f"sh -c '{_DECODE}' sh", *(f"'{part}'" for part in parts)])


def _parts(text: str) -> list[str]:
    """Cut where no escape is."""
    found, rest = [], text
    while len(rest) > _LONGEST:
        cut = rest.rfind("\\", 0, _LONGEST)
        cut = cut if _LONGEST - cut < 5 and cut > 0 else _LONGEST
        found.append(rest[:cut])
        rest = rest[cut:]
    return [*found, rest]
