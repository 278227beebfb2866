"""Signs of life: a file of each process in the runtime folder, stamped whenever it has done what
it is there for.

The stamp is the file's time of change, set to CLOCK_MONOTONIC: a clock that is set and a suspended
machine change nothing, and a full disk takes no stamp away. `python -m labpanel.supervise.signs
NAME SECONDS` asks, for a container's health check.
"""

import os
import sys
import time
from pathlib import Path

from labpanel import env


def path(name: str) -> Path:
    return env.runtime() / f"alive-{name}"


def make(name: str) -> None:
    """Put the file in place, as never stamped."""
    handle = os.open(path(name), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    os.close(handle)
    os.utime(path(name), (0, 0))


def mark(name: str) -> None:
    """Say that the process `name` is well now."""
    now = time.monotonic()
    try:
        os.utime(path(name), (now, now))
    except FileNotFoundError:
        make(name)
        os.utime(path(name), (now, now))


def heard(name: str) -> float | None:
    """When it last said so, by CLOCK_MONOTONIC; None if it never did."""
    try:
        return path(name).stat().st_mtime or None
    except OSError:
        return None


def main(name: str, seconds: str) -> int:
    at = heard(name)
    return 0 if at is not None and time.monotonic() - at <= float(seconds) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
