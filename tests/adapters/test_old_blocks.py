"""Old blocks of images: real files, real reads; errors as the kernel gives them (EIO, EUCLEAN)."""

import errno
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from labpanel.adapters.looks import old_blocks as front
from labpanel.adapters.looks.old_blocks import Range
from labpanel.lib.closed import Odd
from labpanel.lib.shapes import PANEL
from labpanel.onhost.looks import mountinfo
from labpanel.onhost.looks import old_blocks as script

MIB = 1 << 20


@pytest.fixture
def image(tmp_path: Path) -> str:
    """Four MiB, of which the second and the last hold data."""
    path = tmp_path / "home.qcow2"
    with path.open("wb") as file:
        for place in (1, 3):
            file.seek(place * MIB)
            file.write(os.urandom(MIB))
        file.flush()
        os.fsync(file.fileno())
    return str(path)


def bad_at(monkeypatch: pytest.MonkeyPatch, first: int, end: int, number: int = errno.EIO) -> None:
    """A disk whose sectors there cannot be read: every read that touches one of them fails."""
    real = script.ReadImage._read

    def read(self: Any, at: int, length: int) -> None:
        if at < end and at + length > first:
            raise OSError(number, os.strerror(number))
        real(self, at, length)

    monkeypatch.setattr(script.ReadImage, "_read", read)


def looks(image: str, turns: int = 1, again: list[dict[str, Any]] | None = None) -> list[Any]:
    return [each for turn in range(turns) for each in script.look([image], again or [], turn)]


def test_a_good_image_is_read_a_little_and_not_touched(image: str) -> None:
    before = Path(image).stat()
    (found,) = looks(image)
    assert (found["outcome"], found["length"]) == ("ok", 0)
    assert 0 < found["bytes"] <= script.RANGES * script.LENGTH
    after = Path(image).stat()
    assert (before.st_mtime_ns, before.st_ctime_ns, before.st_atime_ns, before.st_blocks) == (
        after.st_mtime_ns,
        after.st_ctime_ns,
        after.st_atime_ns,
        after.st_blocks,
    )


@pytest.mark.parametrize("number", [errno.EIO, errno.EUCLEAN, errno.EREMOTEIO, errno.EILSEQ])
def test_what_cannot_be_read_is_named_by_its_first_page(
    image: str, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    bad_at(monkeypatch, 0, 4 * MIB, number)
    (found,) = looks(image)
    assert (found["outcome"], found["length"]) == ("unreadable", script.PAGE)
    assert found["error"] == errno.errorcode[number]
    assert found["first"] % script.PAGE == 0


def test_a_bad_spot_within_a_range_is_found_to_the_page(
    image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The range that holds it fails as a whole; which page it is comes from reading each."""
    bad_at(monkeypatch, MIB + 3 * 4096 + 512, MIB + 3 * 4096 + 1024)
    with script.ReadImage(image) as opened:
        bad = opened.bad_in(MIB, script.LENGTH)
        assert bad is not None
        assert bad[0] == MIB + 3 * 4096
        assert opened.bad_in(MIB + 4 * 4096, script.LENGTH) is None


def test_places_rotate_until_all_that_holds_data_was_read(
    image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    places: set[int] = set()
    real = script.ReadImage._read

    def read(self: Any, at: int, length: int) -> None:
        places.update(range(at // 4096, (at + length) // 4096))
        real(self, at, length)

    monkeypatch.setattr(script.ReadImage, "_read", read)
    looks(image, turns=60)
    data = {*range(256, 512), *range(768, 1024)}
    assert len(data & places) > 0.95 * len(data)
    assert len(places - data) < 64, "holes are not read"


def test_what_was_bad_is_tried_again(image: str, monkeypatch: pytest.MonkeyPatch) -> None:
    again = [{"path": image, "first": MIB, "length": 4096}]
    found = looks(image, again=again)[0]
    assert (found["first"], found["length"], found["outcome"]) == (MIB, 4096, "ok")
    bad_at(monkeypatch, MIB, MIB + 4096)
    assert looks(image, again=again)[0]["outcome"] == "unreadable"


@pytest.mark.parametrize("kind", ["missing", "folder", "pipe", "empty", "hole", "small"])
def test_what_is_no_image_is_skipped(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind != "missing":
        path.write_bytes(b"x" * 100 if kind == "small" else b"")
    if kind == "hole":
        os.truncate(path, 4 * MIB)
    (found,) = looks(str(path))
    skipped = kind in {"missing", "folder", "pipe"}
    assert (found["outcome"], found["bytes"]) == ("skipped" if skipped else "ok", 0)


def test_each_turn_has_another_image(tmp_path: Path) -> None:
    paths = []
    for name in "abc":
        (tmp_path / name).write_bytes(os.urandom(8192))
        paths.append(str(tmp_path / name))
    found = [next(script.look(paths, [], turn))["path"] for turn in range(6)]
    assert found == paths * 2


def test_through_the_front(image: str) -> None:
    found, odd = front.look(PANEL, [image], [Range(image, MIB, 4096)], 3)
    assert odd == ()
    assert [(each.outcome, each.range.length) for each in found] == [("ok", 4096), ("ok", 0)]


def test_two_file_systems_below_one_folder_are_both_read(
    image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An image may be a mount of its own, as a file that a FUSE server shows is."""
    other = tmp_path / "web.raw"
    other.write_bytes(os.urandom(8192))
    mounts = (
        mountinfo.MOUNTINFO.read_bytes()
        + (
            f"9001 1 0:999 / {tmp_path} rw - ext4 /dev/sdx rw\n"
            f"9002 9001 0:998 / {other} rw - fuse /dev/fuse rw\n"
        ).encode()
    )
    (tmp_path / "mountinfo").write_bytes(mounts)
    monkeypatch.setattr(mountinfo, "MOUNTINFO", tmp_path / "mountinfo")
    asked = {"images": [image, str(other)], "again": [], "turn": 0}
    monkeypatch.setattr(sys, "argv", ["-c", json.dumps(asked)])
    script.main()
    rows = json.loads(capsys.readouterr().out)["blocks"]
    assert {row["path"]: row["outcome"] for row in rows} == {image: "ok", str(other): "ok"}


@pytest.mark.parametrize(
    "change",
    [
        {"path": "/etc/shadow"},
        {"outcome": "well"},
        {"first": -1},
        {"bytes": "many"},
        {"length": 1.5},
    ],
)
def test_an_odd_entry_is_put_aside(change: dict[str, Any]) -> None:
    row = {"path": "/a", "first": 0, "length": 0, "outcome": "ok", "error": "", "bytes": 1}
    answer = {"blocks": [{**row, **change}, row]}
    found, odd = front.read(answer, "alpha", asked_for=frozenset({"/a"}))
    assert (len(found), len(odd)) == (1, 1)


@pytest.mark.parametrize("answer", [None, [], {}, {"blocks": 3}])
def test_another_answer_is_none(answer: object) -> None:
    with pytest.raises(Odd):
        front.read(answer, "alpha", asked_for=frozenset())
