"""How much one stranger, and all of them, may take. Pure.

The sums hold for 1 024 open files, the usual soft limit: a request costs up to three (SQLite's
database, log and index in the thread that answers it), a stream one more (redis).
"""

from dataclasses import dataclass

HEAD_BYTES = 32 << 10  # request line and headers
MOST_HEADERS = 100
BODY_BYTES = 1 << 20
# Of bodies larger than this only LARGE_BODIES are held at a time; forms are far smaller.
SMALL_BODY_BYTES = 64 << 10
LARGE_BODIES = 16
LARGE_BODIES_FOR_ONE = 4
# What a request may weigh on the wire: chunks of one byte have five of wrapping, and a refused
# body is read on for a moment, so that the refusal is read as well.
WIRE_BYTES = 8 << 20

HEAD_SECONDS = 10.0
BODY_SECONDS = 15.0
IDLE_SECONDS = 5.0  # between two requests
WRITE_SECONDS = 30.0  # in which the client must take something of what waits for it
LINGER_SECONDS = 2.0

# A household behind one address: five people with six connections and five streams each.
CONNECTIONS_FOR_ONE = 64
RUNNING_FOR_ONE = 64
RUNNING_IN_ALL = 128
STREAMS_IN_ALL = 64
BACKLOG = 128  # as many are accepted at once before the first of them is looked at
_CONNECTIONS_IN_ALL = 512
_KEPT_FOR_THE_REST = 720  # 128 × 3 + 64 of requests, 128 of the backlog, and what the process holds
_TOO_FEW = 64


class TooFewFiles(Exception):
    """The process may not open enough files; the text is one sentence for the user."""


@dataclass(frozen=True, slots=True)
class Room:
    """Connections open at a time."""

    in_all: int
    for_one: int


def room(open_files: int) -> Room:
    """What fits below the limit of open files (RLIMIT_NOFILE). Raises TooFewFiles."""
    in_all = min(_CONNECTIONS_IN_ALL, open_files - _KEPT_FOR_THE_REST)
    if in_all < _TOO_FEW:
        least = _KEPT_FOR_THE_REST + _TOO_FEW
        raise TooFewFiles(
            f"The web process may open {open_files} files and needs {least}: raise its limit "
            "(LimitNOFILE= of a systemd unit, `ulimit -n` of a shell)."
        )
    return Room(in_all, min(CONNECTIONS_FOR_ONE, in_all))
