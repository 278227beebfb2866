"""A panel whose clock a test moves: libfaketime around its processes, nothing in the product.

Only the panel's processes are told another time; hosts and guests keep the real one, and so do
monotonic clocks: no deadline is cut short. Redis stays outside (its allocator and libfaketime wait
for each other); it counts seconds only.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from labpanel.supervise.services import redis_program
from tests.lab.panels import REPOSITORY, TEMPO, UP_SECONDS, Panel, environment

SHARED = Path("/dev/shm")
# Also when the tests themselves are killed (prctl(2), PR_SET_PDEATHSIG)
DIES_WITH_US = ("setpriv", "--pdeathsig", "TERM", "--")
# Turns of the policies are asked for by hand: one that came by its own clock would save a new disk
# before its week.
BY_HAND = TEMPO.replace("run_policies=20", "run_policies=3600")


def library() -> Path | None:
    """Debian's libfaketime for programs with threads, if it is installed."""
    return next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)


class Clock:
    """An offset in a file that libfaketime reads once a second."""

    def __init__(self, folder: Path) -> None:
        self._file, self._sleep = folder / "clock", folder / "sleep.so"
        source = Path(__file__).with_name("sleep.c")
        built = ["gcc", "-shared", "-fPIC", "-o", str(self._sleep), str(source)]
        subprocess.run(built, check=True, timeout=60)
        self._offset = timedelta()
        self._write()

    def now(self) -> datetime:
        return datetime.now(UTC) + self._offset

    def move_to(self, moment: datetime) -> None:
        """From now on it is `moment`, and time goes on from there."""
        self._offset = moment - datetime.now(UTC)
        self._write()

    def _write(self) -> None:
        fresh = self._file.with_suffix(".new")
        fresh.write_text(f"+{round(self._offset.total_seconds())}\n")
        fresh.replace(self._file)

    def environment(self) -> dict[str, str]:
        return {
            "LD_PRELOAD": f"{self._sleep} {library()}",
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
            "TZ": "UTC",
        }


@dataclass(frozen=True, kw_only=True)
class TimedPanel(Panel):
    clock: Clock

    @property
    def environment(self) -> dict[str, str]:
        return _environment(self.home, self.clock)


def _environment(home: Path, clock: Clock) -> dict[str, str]:
    broker = {"REDIS_URL": f"unix://{home}/redis.sock"}
    return {**environment(home, BY_HAND), **clock.environment(), **broker}


@contextmanager
def timed_panel(begin: datetime) -> Iterator[TimedPanel]:
    """A panel of its own, for which it is `begin`; it and its home go away at the end."""
    home = Path(tempfile.mkdtemp(prefix="labpanel-clock-"))
    clock, before = Clock(home), set(SHARED.iterdir())
    clock.move_to(begin)
    redis = subprocess.Popen(
        [*DIES_WITH_US, redis_program(home), "--port", "0", "--save", "", "--unixsocket",
         str(home / "redis.sock")],
        cwd=home,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        up = _supervise(home, clock, "up", "--detach")
        assert up.returncode == 0, up.stderr
        yield TimedPanel(home, up.stdout, clock=clock)
    finally:
        _supervise(home, clock, "down")
        redis.terminate()
        redis.wait(timeout=20)
        if os.environ.get("LABPANEL_KEEP_LOGS"):
            shutil.copytree(home / "log", os.environ["LABPANEL_KEEP_LOGS"], dirs_exist_ok=True)
        shutil.rmtree(home, ignore_errors=True)
        for left in set(SHARED.iterdir()) - before:  # libfaketime's, of processes that ended
            if "faketime" in left.name:
                left.unlink(missing_ok=True)


def _supervise(home: Path, clock: Clock, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "labpanel.supervise", *words],
        cwd=REPOSITORY,
        env=_environment(home, clock),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=UP_SECONDS,
        check=False,
    )
