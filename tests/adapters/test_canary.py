"""The canary on this machine's own folders, as it runs on a host."""

import os
import time
from pathlib import Path
from typing import Any

import pytest

from labpanel.adapters import canary
from labpanel.adapters.scripts import canary as script
from labpanel.lib.shapes import PANEL


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


def test_a_mount_with_a_space_is_read_right() -> None:
    line = r"36 35 98:0 / /mnt/my\040disk rw,noatime shared:1 - ext4 /dev/sdb1 rw,errors=continue"
    entry = script.mount(line)
    assert (entry["mount_point"], entry["options"]) == ("/mnt/my disk", "rw,noatime")
    assert (entry["fstype"], entry["source"]) == ("ext4", "/dev/sdb1")
    assert entry["super"] == "rw,errors=continue"


def test_a_folder_belongs_to_the_innermost_mount() -> None:
    mounts = [
        {"mount_point": "/", "also": [], "number": "8:1", "fstype": "ext4"},
        {"mount_point": "/srv", "also": ["/data"], "number": "8:2", "fstype": "ext4"},
    ]
    assert script.mount_of({"folder": "/data/x", "number": ""}, mounts) == "/srv"
    assert script.mount_of({"folder": "/srvx", "number": ""}, mounts) == "/"
    assert script.mount_of({"folder": "/elsewhere", "number": "8:2"}, mounts) == "/srv"
    assert script.mount_of({"folder": "/srv/tmpfs", "number": "0:40"}, mounts) == ""
