"""Files that the panel made are told from all others, whatever lies at their paths by now."""

import fcntl
import os
import struct
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from labpanel.adapters.images.image_host import ImageHost
from labpanel.adapters.ssh.machine import Machine
from labpanel.lib.made import MadeFile
from labpanel.lib.shapes import PANEL
from labpanel.onhost.images import made
from labpanel.onhost.images.image_look import based_on
from labpanel.onhost.runtime.wire import Problem


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "an image\u2028of home.qcow2"
    path.write_bytes(b"x" * 8192)
    return path


def marked(path: Path, word: str = "word") -> list[dict[str, object]]:
    found = made.mark([str(path)], word)
    assert found[0]["mark"] == word, "the tests' file system keeps marks"
    return found


def state(files: list[dict[str, object]], *, remove: bool = True) -> str:
    found = made.remove_made(files) if remove else made.look_at_made(files)
    return str(found[0]["state"])


def test_what_was_made_is_removed(image: Path) -> None:
    files = marked(image)
    assert state(files, remove=False) == "whole"
    assert image.exists()
    assert state(files) == "removed"
    assert [*image.parent.iterdir()] == []
    assert state(files) == "gone"


def replaced(image: Path) -> None:
    image.unlink()
    image.write_bytes(b"somebody's")  # ext4 gives it the very same inode number


def moved_over(image: Path) -> None:
    other = image.with_name("other")
    other.write_bytes(b"somebody's")
    other.replace(image)


def linked(image: Path) -> None:
    image.rename(image.with_name("real"))
    image.symlink_to("real")


def a_folder(image: Path) -> None:
    image.unlink()
    image.mkdir()


def a_pipe(image: Path) -> None:
    image.unlink()
    os.mkfifo(image)


def marked_by_another(image: Path) -> None:
    os.setxattr(image, made.NAME, b"another panel's")


def unmarked(image: Path) -> None:
    os.removexattr(image, made.NAME)


CHANGES = [replaced, moved_over, linked, a_folder, a_pipe, marked_by_another, unmarked]


@pytest.mark.parametrize("change", CHANGES)
def test_anything_else_stays(image: Path, change: Callable[[Path], None]) -> None:
    files = marked(image)
    change(image)
    before = sorted(each.name for each in image.parent.iterdir())
    assert state(files) == "other"
    assert sorted(each.name for each in image.parent.iterdir()) == before


def test_a_copy_with_the_mark_is_another_file(image: Path) -> None:
    files = marked(image)
    copy = image.with_name("copy")
    subprocess.run(["cp", "--preserve=all", str(image), str(copy)], check=True)
    copy.replace(image)
    assert state(files) == "other"


def test_without_a_mark_nothing_is_proven(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NFS before 4.2, FAT: ENOTSUP (setxattr(2))."""

    def none(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "setxattr", none)
    files = made.mark([str(image)], "word")
    assert files[0]["mark"] == ""
    assert state(files) == "other"
    assert image.exists()


@pytest.fixture
def locked(image: Path) -> Iterator[None]:
    """As QEMU locks an image: shared open file description locks on some bytes."""
    handle = os.open(image, os.O_RDWR)
    fcntl.fcntl(handle, fcntl.F_OFD_SETLK, struct.pack("hhqqi0q", fcntl.F_RDLCK, 0, 100, 1, 0))
    yield
    os.close(handle)


def test_one_that_is_in_use_stays(image: Path, locked: None) -> None:
    files = marked(image)
    assert state(files) == "used"
    assert image.exists()


def test_what_takes_its_place_meanwhile_is_put_back(
    image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = marked(image)
    real: Callable[..., None] = os.rename

    def late(*names: str, **folders: int) -> None:
        moved_over(image)
        real(*names, **folders)

    monkeypatch.setattr(os, "rename", late)
    assert state(files) == "other"
    assert image.read_bytes() == b"somebody's"
    assert [*image.parent.iterdir()] == [image]


def test_links_and_folders_are_not_marked(tmp_path: Path, image: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(image)
    with pytest.raises((OSError, Problem)):
        made.mark([str(link)], "word")
    with pytest.raises((OSError, Problem)):
        made.mark([str(tmp_path)], "word")


def test_over_the_wire(image: Path) -> None:
    with ImageHost(Machine(PANEL)) as images:
        files = images.mark([str(image)], "word")
        assert files == [MadeFile(str(image), image.stat().st_ino, "word")]
        assert [asdict(each)["state"] for each in images.look_at_made(files)] == ["whole"]
        assert [each.state for each in images.remove_made(files)] == ["removed"]
    assert not image.exists()


def qcow2(path: Path, below: str = "") -> str:
    words = ["-b", below, "-F", "qcow2"] if below else []
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *words, str(path), "1M"], check=True)
    return str(path)


def linked_clone(folder: Path, ours: str) -> str:
    return qcow2(folder / "clone.qcow2", ours)


def clone_of_a_clone(folder: Path, ours: str) -> str:
    return qcow2(folder / "second.qcow2", linked_clone(folder, ours))


def clone_by_another_way(folder: Path, ours: str) -> str:
    (folder / "pool").symlink_to(folder)
    return qcow2(folder / "clone.qcow2", f"pool/{Path(ours).name}")


def hard_link(folder: Path, ours: str) -> str:
    (folder / "other").hardlink_to(ours)
    return str(folder / "other")


def the_same_by_a_link(folder: Path, ours: str) -> str:
    (folder / "other").symlink_to(ours)
    return str(folder / "other")


USES = [linked_clone, clone_of_a_clone, clone_by_another_way, hard_link, the_same_by_a_link]


@pytest.mark.parametrize("use", USES)
def test_an_image_that_others_use_is_told(tmp_path: Path, use: Callable[[Path, str], str]) -> None:
    ours, alone = qcow2(tmp_path / "ours.qcow2"), qcow2(tmp_path / "alone.qcow2")
    other = use(tmp_path, ours)
    asked = [[alone, "qcow2"], [str(tmp_path / "gone"), "qcow2"], [other, "qcow2"]]
    assert based_on([ours], asked) == [{"image": other, "file": ours}]


def test_an_image_that_cannot_be_read_is_a_no(tmp_path: Path) -> None:
    ours, odd = qcow2(tmp_path / "ours.qcow2"), tmp_path / "odd.qcow2"
    odd.write_bytes(b"no image")
    with pytest.raises(Problem, match="odd.qcow2"):
        based_on([ours], [[str(odd), "qcow2"]])
