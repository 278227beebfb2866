"""The exports that outlive the panel: detached, found again, ended without a trace."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from labpanel.adapters.errors import CommandFailed
from labpanel.adapters.ssh.machine import Machine
from labpanel.adapters.ssh.session import run_bundle
from labpanel.adapters.store.remote_backing import answers
from labpanel.lib.shapes import PANEL
from labpanel.onhost.store.persistent_exports import LOOK_SECONDS


def asked(verb: str, folder: Path, wanted: dict[str, Any] | None = None) -> Any:
    words = [verb, str(folder), *([json.dumps(wanted)] if wanted is not None else [])]
    program = "store.persistent_exports"
    return json.loads(run_bundle(Machine(PANEL), program, words, deadline=40).text)


@pytest.fixture
def folder(qemu: None, tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "attendant"
    yield place
    asked("end", place)


def wanted(image: Path, *, lock: str = "", patience: float = 3600) -> dict[str, Any]:
    node = {"driver": "raw", "file": {"driver": "file", "filename": str(image)}}
    export = {"socket": "vda.socket", "name": "vda", "node": node, "vm": ""}
    return {"lock": lock, "patience": patience, "exports": [export]}


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "image.raw"
    path.write_bytes(b"content" * 100000)
    return path


def gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists() or "zombie" in Path(f"/proc/{pid}/status").read_text()


def awaited(ask: Callable[[], bool]) -> bool:
    until = time.monotonic() + 20
    while not ask() and time.monotonic() < until:
        time.sleep(0.05)
    return ask()


def test_it_outlives_who_began_it_and_ends_without_a_trace(folder: Path, image: Path) -> None:
    begun = asked("begin", folder, wanted(image))
    assert begun["began"] is True
    assert answers(Machine(PANEL), str(folder / "vda.socket"))
    assert asked("begin", folder, wanted(image)) == {**begun, "began": False}
    assert asked("end", folder)["ended"] is True
    assert not folder.exists()
    assert awaited(lambda: gone(begun["pid"]))
    assert asked("end", folder)["ended"] is False


def test_a_killed_one_leaves_no_export_and_is_begun_anew(folder: Path, image: Path) -> None:
    begun = asked("begin", folder, wanted(image))
    os.kill(begun["pid"], signal.SIGKILL)
    assert awaited(lambda: not answers(Machine(PANEL), str(folder / "vda.socket")))
    again = asked("begin", folder, wanted(image))
    assert again["began"] is True
    assert answers(Machine(PANEL), str(folder / "vda.socket"))


def test_it_ends_by_itself_when_nobody_asks_for_it(folder: Path, image: Path) -> None:
    begun = asked("begin", folder, wanted(image, patience=0.5))
    assert awaited(lambda: gone(begun["pid"]))
    assert not (folder / "vda.socket").exists()


def test_a_clock_of_the_host_that_jumps_ahead_ends_nothing(folder: Path, image: Path) -> None:
    """To the attendant the last question then lies years back."""
    begun = asked("begin", folder, wanted(image))
    os.utime(folder / "asked", (0, 0))
    looks = time.monotonic() + 3 * LOOK_SECONDS
    while time.monotonic() < looks:
        assert not gone(begun["pid"])
        time.sleep(0.2)
    assert answers(Machine(PANEL), str(folder / "vda.socket"))


def test_it_holds_the_lock_of_the_generations(folder: Path, image: Path, tmp_path: Path) -> None:
    lock = tmp_path / ".lock"
    asked("begin", folder, wanted(image, lock=str(lock)))
    exclusive = ["flock", "--nonblock", "--exclusive", str(lock), "true"]
    assert subprocess.run(exclusive, check=False, timeout=10).returncode == 1
    assert (
        subprocess.run(["flock", "-ns", str(lock), "true"], check=False, timeout=10).returncode == 0
    )
    asked("end", folder)
    assert subprocess.run(exclusive, check=False, timeout=10).returncode == 0


def test_an_image_that_cannot_be_opened_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CommandFailed) as failure:
        asked("begin", folder, wanted(tmp_path / "none"))
    assert failure.value.status == 1
    assert "vda cannot be opened" in failure.value.detail


@pytest.mark.parametrize("name", ["../vda", "/run/vda", "", "a b"])
def test_a_socket_lies_in_the_folder(folder: Path, image: Path, name: str) -> None:
    odd = wanted(image)
    odd["exports"][0]["socket"] = name
    with pytest.raises(CommandFailed, match="is not a name for a socket"):
        asked("begin", folder, odd)
