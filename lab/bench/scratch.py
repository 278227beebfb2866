"""A panel's home for one measurement: made, used by the same program started again, removed."""

import contextlib
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from labpanel import env

INSIDE = "LABPANEL_BENCH_OUTER_HOME"
# In a home that was made here, and in no other: only such a one is ever removed.
_MARK = "made-for-a-measurement"
# They lead to the owner's database and broker.
_OWNERS = {"DATABASE_URL", "DATABASE_URL_FILE", "REDIS_URL", "REDIS_URL_FILE"}


def enter() -> None:
    """Start this program again in a new home, unless that is where it runs already.

    Settings are read once in a process, so another home needs another program image (execve).
    """
    if INSIDE in os.environ and (env.home() / _MARK).exists():
        return
    outer = env.home()
    fresh = Path(tempfile.mkdtemp(prefix="labpanel-bench-"))
    (fresh / _MARK).touch()
    changed = {"LABPANEL_HOME": str(fresh), INSIDE: str(outer), "LABPANEL_LOG_LEVEL": "WARNING"}
    kept = {name: value for name, value in os.environ.items() if name not in _OWNERS}
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], kept | changed)  # noqa: S606


def outer_home() -> Path:
    """The home of the panel that the owner runs, if any."""
    return Path(os.environ.get(INSIDE) or env.home())


@contextlib.contextmanager
def removed_afterwards() -> Iterator[Path]:
    """This home and its folder of sockets, removed however the measurement ends."""
    home, runtime = env.home(), env.runtime()
    signal.signal(signal.SIGTERM, _leave)
    try:
        yield home
    finally:
        if (home / _MARK).exists():
            shutil.rmtree(runtime, ignore_errors=True)
            shutil.rmtree(home, ignore_errors=True)


def _leave(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)
