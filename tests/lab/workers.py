"""A panel's workers, killed."""

import os
import signal
from pathlib import Path

from tests.lab.panels import Panel


def kill_long_workers(panel: Panel) -> int:
    """SIGKILL to this panel's own workers of long jobs, found by its home; how many."""
    home, killed = f"LABPANEL_HOME={panel.home}".encode(), 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            ours = home in (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue  # it ended meanwhile
        if ours and b"worker" in words and b"long" in words:
            os.kill(int(folder.name), signal.SIGKILL)
            killed += 1
    return killed
