"""A job's own connection leaves no file in the runtime folder."""

from pathlib import Path
from typing import Any

from labpanel.adapters.ssh.machine import Machine, beside
from labpanel.adapters.ssh.nbd_relay import end_channel
from labpanel.lib.shapes import Endpoint

SUFFIXES = (".lock", ".log", ".forwards")


def test_all_its_files_go_and_those_of_others_stay(tmp_path: Path, settings: Any) -> None:
    settings.RUNTIME_DIR = tmp_path
    mine, other = (Machine(Endpoint("far", "root@far.invalid"), f"job-{n}") for n in (1, 2))
    for machine in (mine, other):
        path = machine.channel.control_path
        for suffix in SUFFIXES:
            beside(path, suffix).touch()
        (tmp_path / f"n-{machine.channel.name}-0").touch()
    end_channel(mine)
    left = {beside(other.channel.control_path, suffix) for suffix in SUFFIXES}
    assert set(tmp_path.iterdir()) == left | {tmp_path / "n-job-2-0"}
