"""A file is known again under another name, and another one is never taken for it."""

import fcntl
import os
from pathlib import Path

import pytest

from labpanel.onhost.images.image_look import chain
from labpanel.onhost.runtime import plain


def number(path: Path) -> int:
    found: int = chain(str(path), "raw")[0]["inode"]
    return found


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "home.img"
    path.write_bytes(b"x" * 4096)
    return path


def test_a_file_keeps_it_through_a_new_name_and_new_content(image: Path) -> None:
    before = number(image)
    renamed = image.rename(image.with_name("other.img"))
    renamed.write_bytes(b"y" * 8192)
    assert 0 < number(renamed) == before < 2**63


def test_the_next_file_with_the_number_of_a_deleted_one_is_another(image: Path) -> None:
    """ext4 gives it the very same inode number, with another generation."""
    before, inode = number(image), image.stat().st_ino
    image.unlink()
    for turn in range(64):
        fresh = image.with_name(f"fresh-{turn}.img")
        fresh.write_bytes(b"z" * 4096)
        assert number(fresh) != before
        if fresh.stat().st_ino == inode:
            return
        fresh.unlink()
    pytest.skip("the file system of the tests gives no inode number twice")


@pytest.mark.parametrize("system", [1, 2**63, 2**64 - 1])
def test_one_inode_number_of_two_file_systems_is_two_files(
    image: Path, monkeypatch: pytest.MonkeyPatch, system: int
) -> None:
    """mkfs.ext4 makes all alike: the first file of each has the number 12."""
    before = number(image)

    class Statvfs:
        f_fsid = system

    monkeypatch.setattr(os, "fstatvfs", lambda _: Statvfs())
    assert 0 < number(image) < 2**63
    assert number(image) != before


def test_what_is_no_file_has_none() -> None:
    handle = os.open("/dev/null", os.O_RDONLY)
    try:
        assert plain.file_number(handle) == 0
    finally:
        os.close(handle)


def test_where_a_file_system_has_no_generations_the_rest_tells(
    image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_ioctl(*_: object) -> None:
        raise OSError(25, "Inappropriate ioctl for device")

    monkeypatch.setattr(fcntl, "ioctl", no_ioctl)
    other = image.with_name("other.img")
    other.write_bytes(b"x" * 4096)
    assert 0 != number(image) != number(other)
