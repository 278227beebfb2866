"""The guard over a guest and the facts of its host, on this machine, with a virsh that writes down
what it is told."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from labpanel.adapters.images.source_host import SourceHost, SourceImage
from labpanel.adapters.moving.move_host import ImageMarks, MoveHost
from labpanel.adapters.ssh.machine import Machine
from labpanel.adapters.ssh.session import ScriptRefused
from labpanel.lib.disks import Below
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
    asked = SourceImage(str(top), "qcow2", Below(folders=(str(tmp_path),)))
    (image,) = host.images([asked])
    assert image.holds_bitmaps
    assert image.bitmaps == {"record": True}
    status = top.stat()
    assert image.stamps[:3] == (status.st_ino, status.st_size, status.st_mtime_ns)
    assert abs(image.written_at - status.st_mtime) < 0.001
    subprocess.run(["qemu-io", "-c", "write -q 0 64k", base], check=True)
    (after,) = host.images([asked])
    assert after.stamps != image.stamps  # what it backs on counts too
    (plain,) = host.images([SourceImage(str(old), "qcow2")])
    assert not plain.holds_bitmaps
    for running in (False, True):
        with pytest.raises(ScriptRefused, match="cannot be opened"):
            host.images([SourceImage(str(tmp_path / "gone"), "qcow2")], running=running)


def test_a_vm_that_does_not_run_has_no_process_and_no_log(host: SourceHost) -> None:
    assert host.boot("no such VM ../", UUID) == ""
    run = host.last_run("no such VM ../")
    assert (run.started_at, run.ended_at) == (0.0, 0.0)
    assert run.boot_id
    assert run.process_start(f"{run.boot_id}:1:0") == run.booted_at


def made(path: Path, *words: str) -> Path:
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *words, path, "1M"], check=True)
    return path


def mark_corrupt(path: Path) -> None:
    """Incompatible feature bit 1, as QEMU sets it (docs/interop/qcow2.txt, bytes 72-79)."""
    with path.open("r+b") as file:
        file.seek(79)
        bits = file.read(1)[0]
        file.seek(79)
        file.write(bytes([bits | 2]))


def snapshot(path: Path, *names: str) -> None:
    for name in names:
        subprocess.run(["qemu-img", "snapshot", "-c", name, path], check=True)


@pytest.mark.parametrize("running", [False, True])
def test_what_a_copy_of_an_image_does_not_show_is_told(
    qemu: None, host: SourceHost, tmp_path: Path, *, running: bool
) -> None:
    base = made(tmp_path / "base.qcow2")
    over = made(tmp_path / "over.qcow2", "-F", "qcow2", "-b", str(base))
    plain, two = made(tmp_path / "plain.qcow2"), made(tmp_path / "two.qcow2")
    old = made(tmp_path / "old.qcow2", "-o", "compat=0.10")
    snapshot(two, "before-upgrade", "日本 'x'")
    snapshot(base, "of the base")  # the VM cannot go back to it
    snapshot(old, "one")
    mark_corrupt(base)
    mark_corrupt(plain)
    asked = [
        SourceImage(str(path), "qcow2", Below(folders=(str(tmp_path),)))
        for path in (over, plain, two, old)
    ]
    found = host.images(asked, running=running)
    assert [image.corrupt for image in found] == [(str(base),), (str(plain),), (), ()]
    assert [image.inside for image in found] == [(), (), ("before-upgrade", "日本 'x'"), ("one",)]
    assert [image.inside_count for image in found] == [0, 0, 2, 1]


def test_a_raw_disk_whose_guest_wrote_an_image_into_it_has_no_mark(
    qemu: None, host: SourceHost, tmp_path: Path
) -> None:
    raw = made(tmp_path / "guest.raw")
    snapshot(raw, "not one of the host's")
    mark_corrupt(raw)
    (found,) = host.images([SourceImage(str(raw), "raw")])
    assert (found.corrupt, found.inside, found.inside_count) == ((), (), 0)


def test_an_image_with_its_data_elsewhere_is_told_by_its_header_while_its_vm_runs(
    qemu: None, host: SourceHost, tmp_path: Path
) -> None:
    path = made(tmp_path / "ext.qcow2", "-o", f"data_file={tmp_path}/ext.data,data_file_raw=on")
    mark_corrupt(path)
    asked = SourceImage(str(path), "qcow2")
    (found,) = host.images([asked], running=True)
    assert (found.corrupt, found.stamps, found.holds_bitmaps) == ((str(path),), (), False)
    with pytest.raises(ScriptRefused, match="data in another file"):
        host.images([asked])


@pytest.mark.parametrize("entry", ["its table beyond the file", "more data than the file has"])
def test_a_snapshot_table_that_is_broken_is_counted(
    qemu: None, host: SourceHost, tmp_path: Path, entry: str
) -> None:
    path = made(tmp_path / "broken.qcow2")
    snapshot(path, "first", "second")
    with path.open("r+b") as file:
        file.seek(64)
        at = int.from_bytes(file.read(8), "big")
        if entry.startswith("its table"):
            file.seek(64)
            file.write((1 << 62).to_bytes(8, "big"))
        else:
            file.seek(at + 36)  # the extra data's size of the first entry
            file.write((1 << 31).to_bytes(4, "big"))
    (found,) = host.images([SourceImage(str(path), "qcow2")], running=True)
    assert (found.inside, found.inside_count) == ((), 2)


def test_a_move_sees_what_a_copy_of_an_image_would_not_show(qemu: None, tmp_path: Path) -> None:
    two, marked = made(tmp_path / "two.qcow2"), made(tmp_path / "marked.qcow2")
    ext = made(tmp_path / "ext.qcow2", "-o", f"data_file={tmp_path}/d,data_file_raw=on")
    locked = made(tmp_path / "locked.qcow2")
    with locked.open("r+b") as file:
        file.seek(32)
        file.write((2).to_bytes(4, "big"))  # crypt_method LUKS
    snapshot(two, "before-upgrade", "x")
    mark_corrupt(marked)
    odd = (two, marked, ext, locked, tmp_path / "gone")
    with MoveHost(Machine(PANEL)) as ground:
        found = ground.image_marks([*((str(path), "qcow2") for path in odd), (str(two), "raw")])
    assert found[0] == ImageMarks(inside=("before-upgrade", "x"), inside_count=2)
    assert found[1] == ImageMarks(corrupt=(str(marked),))
    assert found[2] == ImageMarks(elsewhere=True)
    assert found[3] == ImageMarks(encrypted=True)
    assert found[4:] == [ImageMarks(), ImageMarks()]
