"""What a child process says, read within limits of size and time.

A host may send without an end. Nothing here grows beyond its limit: what passes it raises TooMuch,
and the caller ends the process.
"""

import os
import selectors
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO

# The longest answer of a command (facts of a host with 500 mounts: 300 KiB).
MOST_OUTPUT = 4 << 20
# Of standard error; what a login file prints there counts.
MOST_ERRORS = 1 << 20
_CHUNK = 1 << 16


class TooMuch(Exception):
    """More was said than is read. `most` is the limit in bytes."""

    def __init__(self, most: int) -> None:
        super().__init__(f"more than {most} bytes")
        self.most = most


class Late(Exception):
    """The time is over, and the process has not ended or sent what is waited for."""


@dataclass(frozen=True, slots=True)
class BothOutputs:
    """Both outputs, whole."""

    stdout: bytes
    stderr: bytes


def communicate(
    process: "subprocess.Popen[bytes]",
    stdin: bytes = b"",
    *,
    until: float,
    most: int = MOST_OUTPUT,
    most_errors: int = MOST_ERRORS,
) -> BothOutputs:
    """Feed `stdin`, read both outputs to their end, and wait for the end of the process.

    `until` is a time of time.monotonic(). Raises Late and TooMuch; the process then still runs.
    """
    assert process.stdout is not None and process.stderr is not None
    out, errors = process.stdout.fileno(), process.stderr.fileno()
    found = {out: bytearray(), errors: bytearray()}
    limits = {out: most, errors: most_errors}
    with selectors.DefaultSelector() as selector:
        for fd in found:
            selector.register(fd, selectors.EVENT_READ)
        feeding = _Feeding(selector, process.stdin, stdin)
        while selector.get_map():
            ready = selector.select(max(0.0, until - time.monotonic()))
            if not ready or time.monotonic() > until:  # one that never pauses is always ready
                raise Late
            for key, _ in ready:
                if key.fd not in found:
                    feeding.go_on()
                elif chunk := os.read(key.fd, _CHUNK):
                    found[key.fd] += chunk
                    if len(found[key.fd]) > limits[key.fd]:
                        raise TooMuch(limits[key.fd])
                else:
                    selector.unregister(key.fd)
    try:
        process.wait(timeout=max(0.1, until - time.monotonic()))
    except subprocess.TimeoutExpired as late:
        raise Late from late
    return BothOutputs(bytes(found[out]), bytes(found[errors]))


class _Feeding:
    """Writes what a pipe takes; closes it after the last byte, or when nothing reads it."""

    def __init__(
        self, selector: selectors.BaseSelector, pipe: IO[bytes] | None, content: bytes
    ) -> None:
        self._selector, self._pipe, self._left = selector, pipe, memoryview(content)
        if pipe is not None:
            os.set_blocking(pipe.fileno(), False)
            selector.register(pipe.fileno(), selectors.EVENT_WRITE)

    def go_on(self) -> None:
        assert self._pipe is not None
        try:
            self._left = self._left[os.write(self._pipe.fileno(), self._left[:_CHUNK]) :]
        except BlockingIOError:
            return
        except OSError:  # EPIPE: the process does not want the rest; its status says why
            self._left = memoryview(b"")
        if not self._left:
            self._selector.unregister(self._pipe.fileno())
            self._pipe.close()


# Runs "$@" and prints the mark ($0) before and after, on both outputs; the status is the command's.
_FRAME = (
    'printf "%s\\n" "$0"; printf "%s\\n" "$0" >&2; "$@"; s=$?; '
    'printf "\\n%s\\n" "$0"; printf "\\n%s\\n" "$0" >&2; exit $s'
)


def framed(words: Sequence[str], mark: str) -> list[str]:
    """The command that prints `mark` around what `words` print."""
    return ["sh", "-c", _FRAME, mark, *words]


def between(text: bytes, mark: str) -> bytes | None:
    """What stands between the two marks; None where one of them is missing. What login files and
    banners print stands before and after."""
    line = mark.encode("ascii") + b"\n"
    _, begun, rest = text.partition(line)
    inside, ended, _ = rest.rpartition(b"\n" + line)
    return inside if begun and ended else None
