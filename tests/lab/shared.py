"""The practice lab and the panel of the group of files that runs now."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from lab.packages import missing
from lab.state import Lab
from tests.lab.panels import Panel, close_operators, supervise


class Shared:
    """Brings up what a group asks for, once, and takes it down with the group."""

    def __init__(self, fill: Callable[[Path], None]) -> None:
        """`fill` puts into a panel's new home what its start would make."""
        self._fill = fill
        self._stack = ExitStack()
        self._lab: Lab | None = None
        self._panel: Panel | None = None

    def lab(self) -> Lab:
        if self._lab is None:
            self._lab = self._stack.enter_context(practice_lab())
        return self._lab

    def panel(self, tempo: str) -> Panel:
        """The pauses are those of the first file that asks."""
        if self._panel is None:
            self._panel = self._stack.enter_context(panel_of(self.lab(), tempo, self._fill))
        return self._panel

    def close(self) -> None:
        self._lab = self._panel = None
        self._stack.close()


@contextmanager
def practice_lab() -> Iterator[Lab]:
    """Two real libvirt hosts with their guests; skipped where the machine cannot."""
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


@contextmanager
def panel_of(lab: Lab, tempo: str, fill: Callable[[Path], None]) -> Iterator[Panel]:
    """A panel with both hosts added and their guests seen."""
    home = Path(tempfile.mkdtemp(prefix="labpanel-lab-"))
    try:
        fill(home)
        up = supervise(home, "up", "--detach", tempo=tempo)
        assert up.returncode == 0, up.stderr
        running = Panel(home, up.stdout, tempo)
        key = home / "authorize.pub"
        key.write_text(running("host", "key").stdout)
        lab.authorize(key)
        for host in lab.hosts.values():
            target = f"root@{host.address}"
            running("host", "add", host.name, target, "--fingerprint", host.fingerprint)
        running("store", "add", "far", "--host", "beta", "/srv/store")
        yield running
    finally:
        close_operators()
        supervise(home, "down")
        if os.environ.get("LABPANEL_KEEP_LOGS"):
            shutil.copytree(home / "log", os.environ["LABPANEL_KEEP_LOGS"], dirs_exist_ok=True)
        shutil.rmtree(home, ignore_errors=True)
