"""Places for what QEMU writes: tried as QEMU's user, and gone where they do not serve."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from labpanel.onhost.images import aside
from labpanel.onhost.runtime.wire import Problem

NOBODY = 65534


@pytest.fixture
def qemu(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A process of another user, where the tests run as root; as source.boot names it."""
    user = NOBODY if os.geteuid() == 0 else os.geteuid()
    process = subprocess.Popen(["sleep", "60"], user=user, group=user)
    yield f"b00:{process.pid}:1"
    process.kill()
    process.wait()


@pytest.fixture
def open_to_all(tmp_path: Path) -> Path:
    """A folder that other users can pass, as a mount point of a host is."""
    for parent in tmp_path.parents:
        if parent.stat().st_mode & 0o1 or parent.stat().st_uid != os.geteuid():
            break
        parent.chmod(parent.stat().st_mode | 0o11)
    tmp_path.chmod(0o755)
    return tmp_path


def test_what_takes_writes_is_left_as_it_was(tmp_path: Path) -> None:
    assert aside.takes_writes(str(tmp_path)) == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("folder", "why"),
    [("gone", "No such file or directory"), ("file", "Not a directory")],
)
def test_why_nothing_can_be_written_is_the_kernels_word(
    tmp_path: Path, folder: str, why: str
) -> None:
    (tmp_path / "file").touch()
    assert aside.takes_writes(str(tmp_path / folder)) == why


def test_a_full_file_system_takes_no_writes() -> None:
    """/dev/full fails as ENOSPC does; a real one is filled on the practice lab."""
    assert aside._reason("dd: error writing '/x/y': No space left on device\n1+0 in\n") == (
        "No space left on device"
    )


def test_a_write_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "dd").write_text("#!/bin/sh\nexec sleep 30\n")
    (tools / "dd").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    monkeypatch.setattr(aside, "TRY_SECONDS", 0.3)
    assert "hangs" in aside.takes_writes(str(tmp_path))


def test_a_folder_is_made_for_qemus_user_and_goes_again(open_to_all: Path, qemu: str) -> None:
    path = Path(aside.make(str(open_to_all), ".lp1-aside", qemu))
    status = path.stat()
    if os.geteuid() == 0:
        assert (status.st_uid, status.st_mode & 0o7777) == (NOBODY, 0o700)
    (path / "scratch").touch()
    assert aside.remove(str(path)) is False
    (path / "scratch").unlink()
    assert aside.remove(str(path)) is True
    assert aside.remove(str(path)) is False


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone can write where others cannot")
def test_where_only_root_can_pass_is_no_place(open_to_all: Path, qemu: str) -> None:
    closed = open_to_all / "root"
    closed.mkdir(mode=0o700)
    with pytest.raises(Problem, match=r"takes no writes of QEMU \(Permission denied\)"):
        aside.make(str(closed), ".lp1-aside", qemu)
    assert list(closed.iterdir()) == []


def test_what_is_there_already_is_left_alone(tmp_path: Path, qemu: str) -> None:
    (tmp_path / ".lp1-aside").mkdir()
    (tmp_path / ".lp1-aside" / "somebody's").touch()
    with pytest.raises(Problem, match="File exists"):
        aside.make(str(tmp_path), ".lp1-aside", qemu)
    assert (tmp_path / ".lp1-aside" / "somebody's").exists()


@pytest.mark.parametrize("boot", ["", "b00", "b00:x:1", "b00:999999999:1"])
def test_a_process_that_is_gone_gives_no_user(tmp_path: Path, boot: str) -> None:
    path = aside.make(str(tmp_path), ".lp1-aside", boot)
    assert Path(path).stat().st_mode & 0o7777 == 0o1733
    assert aside.remove(path)


@pytest.mark.skipif(shutil.which("mount") is None or os.geteuid() != 0, reason="needs a mount")
def test_a_read_only_file_system_is_named(tmp_path: Path, qemu: str) -> None:
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "x", tmp_path], check=False).returncode:
        pytest.skip("no mounts here")
    try:
        assert aside.takes_writes(str(tmp_path)) == "Read-only file system"
        with pytest.raises(Problem, match="Read-only file system"):
            aside.make(str(tmp_path), ".lp1-aside", qemu)
    finally:
        subprocess.run(["umount", tmp_path], check=True)
