"""A practice lab and a panel on it for every file of tests: no file sees what another left.

Tests of one file share them, and leave both as they found them.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab.packages import missing
from lab.state import Lab

REPOSITORY = Path(__file__).resolve().parent.parent.parent
UP_SECONDS = 180


@dataclass(frozen=True)
class Panel:
    """A running panel. `panel("vm", "list")` is `./panel vm list`."""

    home: Path
    output: str

    @property
    def environment(self) -> dict[str, str]:
        return environment(self.home)

    @property
    def url(self) -> str:
        return next(word for word in self.output.split() if word.startswith("http")).rstrip("/.")

    def __call__(
        self, *words: str, ok: bool = True, timeout: float = 280
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "manage.py", "panel", *words],
            cwd=REPOSITORY,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
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


def environment(home: Path) -> dict[str, str]:
    return {
        **os.environ,
        "LABPANEL_HOME": str(home),
        "LABPANEL_LISTEN": "127.0.0.1:0",
        "LABPANEL_ADD_LOCAL": "0",
        "LABPANEL_LOG_LEVEL": "INFO",
        "DJANGO_SETTINGS_MODULE": "labpanel.settings",
    }


def supervise(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "labpanel.supervise", *words],
        cwd=REPOSITORY,
        env=environment(home),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=UP_SECONDS,
        check=False,
    )


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """Two real libvirt hosts with the story's guests; skipped where the machine cannot."""
    gone = missing()
    if os.geteuid() != 0 or gone:
        why = "needs root" if os.geteuid() else f"not installed: {', '.join(gone)}"
        if os.environ.get("CI"):
            pytest.fail(f"the practice lab is required here and cannot be brought up: {why}")
        pytest.skip(f"the practice lab cannot be brought up here: {why}")
    practice = Lab.load(f"t{os.getpid()}")
    try:
        practice.up()
        yield practice
    finally:
        practice.down()


@pytest.fixture(scope="module")
def panel(lab: Lab) -> Iterator[Panel]:
    """A panel of its own with both hosts added and their guests seen."""
    home = Path(tempfile.mkdtemp(prefix="labpanel-lab-"))
    try:
        up = supervise(home, "up", "--detach")
        assert up.returncode == 0, up.stderr
        running = Panel(home, up.stdout)
        key = home / "authorize.pub"
        key.write_text(running("host", "key").stdout)
        lab.authorize(key)
        for host in lab.hosts.values():
            target = f"root@{host.address}"
            running("host", "add", host.name, target, "--fingerprint", host.fingerprint)
        running("store", "add", "far", "--host", "beta", "/srv/store")
        yield running
    finally:
        supervise(home, "down")
        if os.environ.get("LABPANEL_KEEP_LOGS"):
            shutil.copytree(home / "log", os.environ["LABPANEL_KEEP_LOGS"], dirs_exist_ok=True)
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def eventually() -> Callable[..., Any]:
    """Ask again until the answer is true; the assertion names what never became so."""

    def wait(ask: Callable[[], Any], what: str, seconds: float = 60) -> Any:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            found = ask()
            if found:
                return found
            time.sleep(1)
        raise AssertionError(f"within {seconds:.0f} s it never came true that {what}")

    return wait
