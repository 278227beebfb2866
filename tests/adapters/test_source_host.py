"""The guard over a guest and the facts of its host, on this machine, with a virsh that writes down
what it is told."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from labpanel.adapters.machine import Machine
from labpanel.adapters.script_session import ScriptRefused
from labpanel.adapters.source_host import SourceHost
from labpanel.lib.shapes import PANEL

UUID = "11111111-2222-4333-8444-555555555555"
MARK = "/var/lib/libvirt/qemu/domain-3-it's/lp1"
_VIRSH = """#!/bin/sh
echo "$4 $5" >> {log}
case $4 in
    backup-dumpxml) echo "<server transport='unix' socket='{socket}'/>" ;;
    domstate) echo "paused (I/O error)" ;;
esac
"""


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """What virsh was told, in order. Its description of the backup holds MARK, escaped."""
    log, folder = tmp_path / "told", tmp_path / "bin"
    folder.mkdir()
    program = folder / "virsh"
    program.write_text(_VIRSH.format(log=log, socket=MARK.replace("'", "&apos;")))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return lambda: log.read_text().splitlines() if log.exists() else []


@pytest.fixture
def host(told: Callable[[], list[str]]) -> Iterator[SourceHost]:
    with SourceHost(Machine(PANEL)) as source:
        yield source


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


ENDED = [f"backup-dumpxml {UUID}", f"domjobabort {UUID}", f"domstate {UUID}", f"resume {UUID}"]


def test_scratch_that_takes_more_than_its_limit_ends_the_backup(
    host: SourceHost, told: Callable[[], list[str]], tmp_path: Path
) -> None:
    """What the files take counts, not how long they are."""
    file = tmp_path / "scratch"
    subprocess.run(["truncate", "-s", "1G", file], check=True)
    host.guard(UUID, MARK, [str(file)], limit_bytes=1 << 20, place=str(tmp_path), floor_bytes=1)
    assert host.look() == ""
    file.write_bytes(os.urandom(2 << 20))
    until(lambda: host.look())
    until(lambda: told() == ENDED)
    assert host.release() == "scratch"


def test_too_little_room_ends_the_backup(
    host: SourceHost, told: Callable[[], list[str]], tmp_path: Path
) -> None:
    host.guard(UUID, MARK, [], limit_bytes=1, place=str(tmp_path), floor_bytes=1 << 60)
    until(lambda: told() == ENDED)
    assert host.look() == "room"


def test_a_file_system_that_cannot_be_looked_at_ends_the_backup(
    host: SourceHost, told: Callable[[], list[str]], tmp_path: Path
) -> None:
    place = tmp_path / "gone"
    host.guard(UUID, MARK, [], limit_bytes=1, place=str(place), floor_bytes=1)
    until(lambda: told() == ENDED)
    assert host.release() == "blind"


def test_a_backup_that_is_not_ours_is_left_alone(
    host: SourceHost, told: Callable[[], list[str]], tmp_path: Path
) -> None:
    host.guard(UUID, "/other", [], limit_bytes=1, place=str(tmp_path), floor_bytes=1 << 60)
    until(lambda: told())
    host.release()
    assert told() == [f"backup-dumpxml {UUID}"]


@pytest.mark.parametrize("thawed", [False, True])
def test_a_panel_that_is_gone_leaves_a_thawed_guest_and_no_backup(
    told: Callable[[], list[str]], tmp_path: Path, thawed: bool
) -> None:
    with SourceHost(Machine(PANEL)) as source:
        source.guard(UUID, MARK, [], limit_bytes=1, place=str(tmp_path), floor_bytes=1)
        if thawed:
            source.thawed()
    first = [] if thawed else [f"domfsthaw {UUID}"]
    until(lambda: told() == [*first, *ENDED])


def test_a_released_guard_does_nothing(told: Callable[[], list[str]], tmp_path: Path) -> None:
    with SourceHost(Machine(PANEL)) as source:
        source.guard(UUID, MARK, [], limit_bytes=1, place=str(tmp_path), floor_bytes=1)
        assert source.release() == ""
    assert told() == []


def test_an_image_tells_its_bitmaps_and_stamps(
    qemu: None, host: SourceHost, tmp_path: Path
) -> None:
    base, top, old = (tmp_path / name for name in ("base.qcow2", "a b'\".qcow2", "old.qcow2"))
    create = ["qemu-img", "create", "-q", "-f", "qcow2"]
    subprocess.run([*create, base, "1M"], check=True)
    subprocess.run([*create, "-b", base, "-F", "qcow2", top], check=True)
    subprocess.run([*create, "-o", "compat=0.10", old, "1M"], check=True)
    subprocess.run(["qemu-img", "bitmap", "--add", top, "record"], check=True)
    (image,) = host.images([(str(top), "qcow2")])
    assert image.holds_bitmaps
    assert image.bitmaps == {"record": True}
    status = top.stat()
    assert image.stamps[:3] == (status.st_ino, status.st_size, status.st_mtime_ns)
    assert abs(image.written_at - status.st_mtime) < 0.001
    subprocess.run(["qemu-io", "-c", "write -q 0 64k", base], check=True)
    (after,) = host.images([(str(top), "qcow2")])
    assert after.stamps != image.stamps  # what it backs on counts too
    (plain,) = host.images([(str(old), "qcow2")])
    assert not plain.holds_bitmaps
    with pytest.raises(ScriptRefused, match="cannot be opened"):
        host.images([(str(tmp_path / "gone"), "raw")])


def test_a_vm_that_does_not_run_has_no_process_and_no_log(host: SourceHost) -> None:
    assert host.boot("no such VM ../", UUID) == ""
    run = host.last_run("no such VM ../")
    assert (run.started_at, run.ended_at) == (0.0, 0.0)
    assert run.boot_id
    assert run.process_start(f"{run.boot_id}:1:0") == run.booted_at
