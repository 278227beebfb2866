"""The systemd unit, as far as it can be told without systemd: its own checker, what it is told."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent.parent
UNIT = REPOSITORY / "deploy" / "labpanel.service"


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="not installed: systemd-analyze")
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    copy = tmp_path / "labpanel.service"
    copy.write_text(UNIT.read_text().replace("/srv/labpanel/panel", str(REPOSITORY / "panel")))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    about_it = [line for line in done.stderr.splitlines() if "labpanel.service" in line]
    assert about_it == []


def test_systemd_is_told_and_the_processes_below_are_not(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(20)
        code = (
            "import os; from labpanel.supervise import notify; notify.say('READY=1'); "
            "print('NOTIFY_SOCKET' in os.environ)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=REPOSITORY,
            env={**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify")},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert systemd.recv(100) == b"READY=1"
    assert done.stdout == "False\n"


def test_a_systemd_that_is_gone_ends_nothing(tmp_path: Path) -> None:
    code = "from labpanel.supervise import notify; notify.say('WATCHDOG=1'); print('on')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=REPOSITORY,
        env={**os.environ, "NOTIFY_SOCKET": str(tmp_path / "nobody")},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == "on\n"
