"""The canary on this machine's own folders, as it runs on a host."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from labpanel.adapters.looks import canary
from labpanel.lib.shapes import PANEL
from labpanel.onhost.looks import canary as script
from labpanel.onhost.looks import turns


def probe(folder: Path) -> dict[str, Any]:
    answer = canary.look(PANEL, [str(folder)])
    return next(each for each in answer["probes"] if each["folder"] == str(folder))


def test_a_good_folder(tmp_path: Path) -> None:
    said = probe(tmp_path)
    assert (said["outcome"], said["error"]) == ("ok", "")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    assert probe(tmp_path / "no such $(folder)")["outcome"] == "missing"


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert probe(tmp_path / "file" / "below")["outcome"] == "missing"


def test_the_root_file_system_is_listed_with_its_device() -> None:
    answer = canary.look(PANEL, [])
    points = {
        point for entry in answer["mounts"] for point in (entry["mount_point"], *entry["also"])
    }
    lines = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    source = next(words[0] for words in reversed(lines) if words[1] == "/")
    assert ("/" in points) == source.startswith("/dev/")  # a container's root is an overlay
    assert all(len(entry["number"].split(":")) == 2 for entry in answer["mounts"])


def test_where_there_are_no_nameless_files_the_named_one_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def refuse(path: Any, flags: int, *rest: int) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(95, "Operation not supported")
        return real(path, flags, *rest)

    monkeypatch.setattr(os, "open", refuse)
    assert script.same_again(str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_old_probes_of_killed_runs_are_removed_and_nothing_else(tmp_path: Path) -> None:
    old, fresh = tmp_path / ".labpanel-probe-1", tmp_path / ".labpanel-probe-2"
    big, other = tmp_path / ".labpanel-probe-big", tmp_path / "home.qcow2"
    for path in (old, fresh, other):
        path.write_bytes(b"x")
    big.write_bytes(b"x" * (script.BLOCK + 1))  # not a probe, whatever it is called
    long_ago = time.time() - script.STALE_SECONDS - 1
    for path in (old, big, other):
        os.utime(path, (long_ago, long_ago))
    script.remove_stale(str(tmp_path))
    assert set(tmp_path.iterdir()) == {fresh, big, other}


def test_a_folder_belongs_to_the_innermost_mount() -> None:
    mounts = [
        {"mount_point": "/", "also": [], "number": "8:1", "fstype": "ext4"},
        {"mount_point": "/srv", "also": ["/data"], "number": "8:2", "fstype": "ext4"},
    ]
    assert script.mount_of({"folder": "/data/x", "number": ""}, mounts) == "/srv"
    assert script.mount_of({"folder": "/srvx", "number": ""}, mounts) == "/"
    assert script.mount_of({"folder": "/elsewhere", "number": "8:2"}, mounts) == "/srv"
    assert script.mount_of({"folder": "/srv/tmpfs", "number": "0:40"}, mounts) == ""


@pytest.fixture
def folders(tmp_path: Path) -> list[str]:
    found = [tmp_path / f"f{number}" for number in range(8)]
    for each in found:
        each.mkdir()
    return [str(each) for each in found]


def slowly(seconds: float, only: str = "") -> Callable[[str], bool]:
    """Stands for a write, sync and read on a disk that takes its time."""

    def same_again(folder: str) -> bool:
        time.sleep(seconds if folder.endswith(only) else 0)
        return True

    return same_again


def outcomes(folders: list[str], seconds: float) -> list[str]:
    probes, _ = turns.run(turns.by_file_system(folders, []), script.child, seconds)
    assert {probe["folder"] for probe in probes} == set(folders)
    return [probe["outcome"] for probe in probes]


def test_many_folders_on_one_slow_disk_do_not_make_it_hang(
    folders: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each takes its time, all of them together longer than the deadline of one."""
    monkeypatch.setattr(turns, "ENOUGH", 1.0)
    monkeypatch.setattr(script, "same_again", slowly(0.3))
    found = outcomes(folders, 1.5)
    assert set(found) == {"ok", "not-reached"}
    assert found.count("ok") >= 2


def test_one_after_another_none_waits_for_its_neighbours(
    folders: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "same_again", slowly(0.1))
    probes, _ = turns.run(turns.by_file_system(folders, []), script.child, 5.0)
    assert [probe["outcome"] for probe in probes] == ["ok"] * 8
    assert all(0.1 <= probe["seconds"] < 0.6 for probe in probes)
    assert all(probe["room"]["size"] > probe["room"]["available"] for probe in probes)


def test_a_folder_that_hangs_has_timed_out_and_the_rest_was_not_reached(
    folders: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "same_again", slowly(60, only="f1"))
    assert outcomes(folders, 0.5) == ["ok", "timeout", *["not-reached"] * 6]


def test_a_file_system_that_hangs_does_not_hide_another_of_its_disk(
    folders: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "NEXT", 0.2)
    monkeypatch.setattr(script, "same_again", slowly(60, only="f0"))
    groups = [turns.FileSystemWork("sda", [folders[0]]), turns.FileSystemWork("sda", [folders[1]])]
    found = {probe["folder"]: probe["outcome"] for probe in turns.run(groups, script.child, 1.0)[0]}
    assert found == {folders[0]: "timeout", folders[1]: "ok"}


def test_a_child_that_dies_ends_no_other(
    folders: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = script.probe
    monkeypatch.setattr(
        script, "probe", lambda folder: os._exit(1) if folder == folders[0] else real(folder)
    )
    groups = [turns.FileSystemWork("sda", [folders[0]]), turns.FileSystemWork("sdb", [folders[1]])]
    found = {each["folder"]: each["outcome"] for each in turns.run(groups, script.child, 1.0)[0]}
    assert found == {folders[0]: "failed", folders[1]: "ok"}


def test_disks_are_told_by_their_drives() -> None:
    for device in Path("/sys/class/block").iterdir():
        number = (device / "dev").read_text().strip()
        assert turns.disk_of(number)
    assert turns.disk_of("0:47", "pool") == ""
    assert turns.disk_of("0:47", "/dev/no-such-disk") == ""
