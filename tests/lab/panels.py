"""A running panel as the lab's tests use it: its verbs, its environment, its start and its end."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lab.operator import Operator

REPOSITORY = Path(__file__).resolve().parent.parent.parent
UP_SECONDS = 180
# About a third of the panel's own pauses; test_timings.py has those. A worker is not taken for
# dead, nor a connection, because the machine is busy.
TEMPO = (
    "look_at_hosts=6 check_health=12 check_old_blocks=20 look_at_stores=20 "
    "make_way_for_snapshots=8 tend_instant=5 run_policies=20 reap=5 "
    "settle=5 owed_again=5 owed_longest=15 job_beat=3 job_silent=15 "
    "health_grace=24 reach_grace=12 move_stalled=30 ssh_alive=3"
)
# One for each home of a panel, until `close_operators`.
_OPERATORS: dict[Path, Operator] = {}


@dataclass(frozen=True)
class Panel:
    """A running panel. `panel("vm", "list")` is `./panel vm list`."""

    home: Path
    output: str
    tempo: str = TEMPO

    @property
    def environment(self) -> dict[str, str]:
        return environment(self.home, self.tempo)

    @property
    def url(self) -> str:
        return next(word for word in self.output.split() if word.startswith("http")).rstrip("/.")

    def __call__(
        self, *words: str, ok: bool = True, timeout: float = 280
    ) -> subprocess.CompletedProcess[str]:
        operator = _OPERATORS.setdefault(self.home, Operator(self.environment))
        done = operator.run(words, timeout)
        if ok:
            assert done.returncode == 0, f"panel {words}: {done.stderr}\n{done.stdout}"
        return done

    def json(self, *words: str, timeout: float = 280) -> Any:
        return json.loads(self(*words, "--json", timeout=timeout).stdout)

    def start(self, *words: str) -> subprocess.Popen[str]:
        """The same without waiting; the caller ends it."""
        return subprocess.Popen(
            [sys.executable, "manage.py", "panel", *words],
            cwd=REPOSITORY,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def environment(home: Path, tempo: str = TEMPO) -> dict[str, str]:
    return {
        **os.environ,
        "LABPANEL_HOME": str(home),
        "LABPANEL_LISTEN": "127.0.0.1:0",
        "LABPANEL_ADD_LOCAL": "0",
        "LABPANEL_LOG_LEVEL": "INFO",
        "LABPANEL_TEMPO": tempo,
        "DJANGO_SETTINGS_MODULE": "labpanel.settings",
    }


def supervise(home: Path, *words: str, tempo: str = TEMPO) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "labpanel.supervise", *words],
        cwd=REPOSITORY,
        env=environment(home, tempo),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=UP_SECONDS,
        check=False,
    )


def close_operators() -> None:
    """End the processes that ran the panels' verbs."""
    while _OPERATORS:
        _OPERATORS.popitem()[1].close()
