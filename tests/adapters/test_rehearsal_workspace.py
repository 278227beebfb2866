"""The ground of a rehearsal on a real machine: what is below the overlays stays as it is."""

import hashlib
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from labpanel.adapters.images.image_host import ImageHost
from labpanel.adapters.rehearsal.workspace import RehearsalWorkspace
from labpanel.adapters.ssh.machine import Machine
from labpanel.adapters.ssh.session import ScriptRefused
from labpanel.lib.shapes import PANEL

SIZE = 8 << 20
NAME = "labpanel-rehearsal-7-ab12"
NOBODY = (65534, 65534)


@pytest.fixture
def workspace(qemu: None) -> Iterator[RehearsalWorkspace]:
    if os.geteuid() != 0:
        pytest.skip("needs root: QEMU's user is given what lies in the ground")
    there = Path("/run/libvirt").exists()
    with RehearsalWorkspace(Machine(PANEL)) as script:
        yield script
    if not there and Path("/run/libvirt").exists():
        Path("/run/libvirt").rmdir()


def io(path: Path | str, command: str, *more: str) -> str:
    words = ["qemu-io", *more, "-c", command, str(path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    return done.stdout + done.stderr


@pytest.fixture
def base(tmp_path: Path) -> Path:
    path = tmp_path / "vda.qcow2"
    words = ["qemu-img", "create", "-q", "-f", "qcow2", str(path), str(SIZE)]
    subprocess.run(words, check=True, timeout=30)
    io(path, "write -q -P 7 0 1M")
    return path


def fingerprint(path: Path) -> tuple[object, ...]:
    status = path.stat()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return digest, status.st_mtime_ns, status.st_ctime_ns, status.st_uid, status.st_mode


def test_what_a_guest_writes_lands_in_the_overlay_alone(
    workspace: RehearsalWorkspace, images: ImageHost, base: Path, tmp_path: Path
) -> None:
    before = fingerprint(base)
    scratch = tmp_path / ".labpanel-rehearsal-7-ab12"
    sockets = workspace.set_up(str(scratch), NAME, NOBODY)
    near = images.serve("vda", str(base), "qcow2", writable=False)
    socket = workspace.hand_over("vda", near)
    overlay = workspace.overlay("vda", SIZE, socket, "vda")
    (scratch / "nvram.fd").write_bytes(b"UEFI")
    workspace.give("nvram.fd")
    empty = workspace.used()
    write = io(overlay, "write -P 9 512k 2M")
    assert "wrote 2097152" in write
    assert "Pattern verification failed" not in io(overlay, "read -P 7 0 512k")
    assert "Pattern verification failed" not in io(overlay, "read -P 9 512k 2M")
    assert workspace.used() >= empty + (2 << 20)
    assert (
        "permission denied"
        in io(f"nbd+unix:///vda?socket={socket}", "write 0 4k", "-f", "raw").lower()
    )
    assert fingerprint(base) == before
    # QEMU's own user reaches what it must, by names that libvirt's AppArmor profile allows.
    assert Path(socket).name == f"vda.tunnelmigrate.dest.{NAME}"
    for path in (socket, overlay, f"{scratch}/nvram.fd"):
        assert Path(path).stat().st_uid == NOBODY[0]
    for folder in (sockets, scratch):
        assert Path(folder).stat().st_mode & 0o777 == 0o711


@pytest.mark.parametrize(
    "name", ["../victim", "/tmp/victim", "", ".", "..", "vda/../../victim", "a?b"]
)
def test_nothing_is_made_outside_the_scratch_folder(
    workspace: RehearsalWorkspace, images: ImageHost, base: Path, tmp_path: Path, name: str
) -> None:
    victim = tmp_path / "victim.qcow2"
    victim.write_text("precious")
    sockets = workspace.set_up(str(tmp_path / ".labpanel-rehearsal-7-ab12"), NAME, NOBODY)
    near = images.serve("vda", str(base), "qcow2", writable=False)
    makes: list[Callable[[], object]] = [
        lambda: workspace.overlay(name, SIZE, near, "vda"),
        lambda: workspace.overlay("vda", SIZE, near, name),
        lambda: workspace.hand_over(name, near),
        lambda: workspace.give(name),
    ]
    for make in makes:
        with pytest.raises(ScriptRefused, match="is not a name"):
            make()
    assert victim.read_text() == "precious"
    assert list(Path(sockets).iterdir()) == []


def test_an_overlay_is_never_made_over_a_file(
    workspace: RehearsalWorkspace, tmp_path: Path
) -> None:
    scratch = tmp_path / ".labpanel-rehearsal-7-ab12"
    workspace.set_up(str(scratch), NAME, None)
    (scratch / "vda.qcow2").write_text("precious")
    with pytest.raises(ScriptRefused, match="File exists"):
        workspace.overlay("vda", SIZE, "/run/none", "vda")
    assert (scratch / "vda.qcow2").read_text() == "precious"


def test_everything_is_gone_with_the_session(workspace: RehearsalWorkspace, tmp_path: Path) -> None:
    scratch = tmp_path / ".labpanel-rehearsal-7-ab12"
    sockets = workspace.set_up(str(scratch), NAME, None)
    workspace.overlay("vda", SIZE, f"{sockets}/nothing", "vda")
    assert scratch.is_dir()
    workspace.__exit__()
    assert not scratch.exists()
    assert not Path(sockets).exists()


def test_what_is_there_is_never_taken_for_scratch(
    workspace: RehearsalWorkspace, tmp_path: Path
) -> None:
    taken = tmp_path / ".labpanel-rehearsal-7-ab12"
    taken.mkdir()
    (taken / "somebody-elses").write_text("x")
    for path in (taken, tmp_path / "images", tmp_path / ".labpanel-rehearsal-7-ab12" / ".."):
        with pytest.raises(ScriptRefused):
            workspace.set_up(str(path), NAME, None)
    workspace.__exit__()
    assert (taken / "somebody-elses").exists()


def test_what_a_dead_worker_left_is_removed_and_nothing_else(
    workspace: RehearsalWorkspace, tmp_path: Path
) -> None:
    left = tmp_path / ".labpanel-rehearsal-7-ab12"
    left.mkdir()
    (left / "vda.qcow2").write_text("x")
    assert workspace.clear(str(left), "") == [str(left)]
    assert workspace.clear(str(left), "/run/libvirt/labpanel-gone") == []
    for scratch, sockets in (("/srv/images", ""), (str(left), "/run/libvirt/qemu"), ("/", "/run")):
        with pytest.raises(ScriptRefused):
            workspace.clear(scratch, sockets)


def test_a_machine_says_what_it_can_spare(workspace: RehearsalWorkspace) -> None:
    found = workspace.resources()
    assert 0 < found.available_bytes <= found.memory_bytes
    assert found.cpus == os.cpu_count()


def test_a_console_that_says_nothing_yet_is_empty(
    workspace: RehearsalWorkspace, tmp_path: Path
) -> None:
    scratch = tmp_path / ".labpanel-rehearsal-7-ab12"
    workspace.set_up(str(scratch), NAME, None)
    assert workspace.console() == ""
    (scratch / "console.log").write_bytes(b"x" * (80 << 10) + b"\xff login: ")
    assert workspace.console().endswith("\ufffd login: ")
    assert len(workspace.console()) <= 64 << 10
