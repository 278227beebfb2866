"""A kept process: its lines, its restarts, its end; and what it leaves behind."""

import asyncio
import logging
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from labpanel.supervise.child import Child
from labpanel.supervise.services import Service


def keep_for(child: Child, seconds: float) -> None:
    """In a thread of its own: the browser tests leave an event loop running in the main one."""
    with ThreadPoolExecutor(1) as aside:
        aside.submit(asyncio.run, kept(child, seconds)).result()


async def kept(child: Child, seconds: float) -> None:
    task = asyncio.create_task(child.keep())
    await asyncio.sleep(seconds)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await child.stop()


def lives(pid: int) -> bool:
    """False for zombies too: there may be no parent to take their status."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] != "Z"


def gone(pid: int, seconds: float = 10) -> bool:
    until = time.monotonic() + seconds
    while lives(pid) and time.monotonic() < until:
        time.sleep(0.05)
    return not lives(pid)


def test_what_ends_is_started_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    runs = tmp_path / "runs"
    child = Child(Service("short", ("sh", "-c", f"echo run >>'{runs}'; echo 'a line'; exit 3")))
    keep_for(child, 1.5)
    assert len(runs.read_text().splitlines()) >= 2
    assert "a line" in caplog.text
    assert "ended with status 3" in caplog.text


def test_one_that_ignores_term_is_killed(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    script = f"trap '' TERM; echo $$ >'{note}'; while :; do sleep 0.1; done"
    keep_for(Child(Service("deaf", ("sh", "-c", script), grace=0.5)), 1.0)
    assert gone(int(note.read_text()))


SUPERVISOR = """
import asyncio, sys
from labpanel.supervise.child import Child
from labpanel.supervise.services import Service
script = "echo $$ >'%s'; exec sleep 300" % sys.argv[1]
asyncio.run(Child(Service("tied", ("sh", "-c", script))).keep())
"""


def test_a_killed_supervisor_takes_its_processes_along(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    supervisor = subprocess.Popen([sys.executable, "-c", SUPERVISOR, str(note)])
    try:
        until = time.monotonic() + 20
        while not (note.exists() and note.read_text()) and time.monotonic() < until:
            time.sleep(0.05)
        pid = int(note.read_text())
        assert lives(pid)
    finally:
        supervisor.kill()
        supervisor.wait()
    assert gone(pid)


ADOPTER = """
import subprocess, sys
from labpanel.supervise import orphans
orphans.adopt()
subprocess.run(["sh", "-c", "setsid sleep 300 >/dev/null 2>&1 & echo $!"], check=True)
print(orphans.end_all(grace=2.0))
print(orphans.children())
"""


def test_what_detached_itself_is_ended_too() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ADOPTER], capture_output=True, text=True, timeout=60, check=True
    )
    pid, ended, left = done.stdout.splitlines()
    assert ended == f"[{pid}]"
    assert left == "[]"
    assert not lives(int(pid))
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), signal.SIGCONT)
