"""A store's folder is made where one is missing, and never where a disk should be mounted."""

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from labpanel.adapters.ssh.machine import Machine
from labpanel.adapters.ssh.session import ScriptRefused
from labpanel.adapters.store.keeper import Keeper
from labpanel.lib.printable import printable
from labpanel.lib.shapes import PANEL
from labpanel.onhost.looks import mountinfo, new_folder
from labpanel.onhost.runtime.wire import Problem


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A machine's folders, with mounts and tables of its own; only / is mounted."""
    units = tmp_path / "units"
    units.mkdir()
    monkeypatch.setattr(mountinfo, "MOUNTINFO", tmp_path / "mountinfo")
    monkeypatch.setattr(new_folder, "FSTAB", tmp_path / "fstab")
    monkeypatch.setattr(new_folder, "UNITS", (units,))
    monkeypatch.setattr(new_folder, "FOR_MOUNTS", (str(tmp_path / "mnt"),))
    monkeypatch.setattr(new_folder, "CLEANED", (str(tmp_path / "tmp"), str(tmp_path / "var/tmp")))
    monkeypatch.setattr(new_folder, "SYSTEM", (str(tmp_path / "usr"), str(tmp_path / "etc")))
    (tmp_path / "mountinfo").write_text("1 0 8:1 / / rw - ext4 /dev/sda1 rw\n")
    (tmp_path / "srv").mkdir()
    yield tmp_path


def mounted(machine: Path, point: Path, on: int = 1) -> None:
    """One line more of /proc/self/mountinfo, written as the kernel does (proc(5))."""
    text = str(point).replace(" ", r"\040")
    with (machine / "mountinfo").open("a") as table:
        table.write(f"40 {on} 8:17 / {text} rw shared:2 - ext4 /dev/sdb1 rw\n")


def refused(path: Path, known: list[str] | None = None) -> str:
    with pytest.raises(Problem) as no:
        new_folder.make(str(path), known or [])
    assert not path.exists()
    return f"{no.value.code}: {no.value}"


def test_only_the_missing_last_parts_are_made_and_closed(machine: Path) -> None:
    (machine / "srv").chmod(0o755)
    wide = os.umask(0)
    try:
        made = new_folder.make(str(machine / "srv" / "a" / "b"))
    finally:
        os.umask(wide)
    assert made.paths == [str(machine / "srv" / "a"), str(machine / "srv" / "a" / "b")]
    assert (machine / "srv").stat().st_mode & 0o777 == 0o755
    assert all(Path(path).stat().st_mode & 0o777 == 0o700 for path in made.paths)
    made.undo()
    assert (machine / "srv").exists()
    assert not (machine / "srv" / "a").exists()


def test_what_is_there_stays_as_it_is(machine: Path) -> None:
    made = new_folder.make(str(machine / "srv"))
    assert made.paths == []
    made.undo()
    assert (machine / "srv").exists()


def test_undo_leaves_what_others_put_there(machine: Path) -> None:
    made = new_folder.make(str(machine / "srv" / "a" / "b"))
    (machine / "srv" / "a" / "theirs").touch()
    made.undo()
    assert [each.name for each in (machine / "srv" / "a").iterdir()] == ["theirs"]


def by_fstab(machine: Path, point: Path) -> None:
    text = str(point).replace(" ", r"\040")
    (machine / "fstab").write_text(f"# disks\n\nUUID=1 / ext4 defaults 0 1\nUUID=2\t{text}/ ext4\n")


def by_unit(machine: Path, point: Path) -> None:
    (machine / "units" / "x.mount").write_text(f"[Mount]\nWhat=/dev/sdb1\nWhere={point}\n")


def by_automount(machine: Path, point: Path) -> None:
    (machine / "units" / "x.automount").write_text(f"[Automount]\nWhere = x\nWhere={point}\n")


TELLING: list[Callable[[Path, Path], None]] = [by_fstab, by_unit, by_automount]


@pytest.mark.parametrize("tell", TELLING)
@pytest.mark.parametrize("name", ["disk", "a disk", "disk\u2028two\u00a0"])
@pytest.mark.parametrize("below", ["store", "deep/er/store", ""])
def test_a_mount_point_without_its_mount_is_refused(
    machine: Path, tell: Callable[[Path, Path], None], name: str, below: str
) -> None:
    point = machine / "srv" / name
    if below:
        point.mkdir()
    tell(machine, point)
    said = refused(point / below)
    assert said.startswith(
        f"not-mounted: {printable(str(point))} is a mount point and nothing is mounted there"
    )
    mounted(machine, point)
    if below:
        new_folder.make(str(point / below)).close()
        assert (point / below).is_dir()


def test_what_was_mounted_once_counts(machine: Path) -> None:
    point = machine / "srv" / "usb"
    point.mkdir()
    assert "not-mounted" in refused(point / "store", [str(point)])
    link = machine / "srv" / "link"
    link.symlink_to(point)
    assert "not-mounted" in refused(link / "store", [str(point)])  # the way round it


@pytest.mark.parametrize("there", [True, False])
def test_places_for_mounts_alone(machine: Path, there: bool) -> None:
    disk = machine / "mnt" / "disk"
    (disk if there else machine / "mnt").mkdir(parents=True)
    assert "is for mounts" in refused(disk / "store")
    mounted(machine, disk)
    disk.mkdir(exist_ok=True)
    new_folder.make(str(disk / "store")).close()


@pytest.mark.parametrize(
    ("put", "word"),
    [
        (lambda place: place.touch(), "is not a directory"),
        (lambda place: place.symlink_to("nowhere"), "a link into nothing"),
        (lambda place: (place.mkdir(), place.chmod(0o777)), "written to by every user"),
    ],
)
def test_where_nothing_can_be_made(machine: Path, put: Callable[[Path], object], word: str) -> None:
    put(machine / "srv" / "odd")
    assert word in refused(machine / "srv" / "odd" / "store")


@pytest.mark.parametrize("path", ["/proc/store", "/run/store", "/dev/shm/store", "/sys/x/store"])
def test_what_the_next_boot_takes(path: str) -> None:
    assert "after a restart" in refused(Path(path))


def test_a_full_or_refusing_disk_leaves_nothing(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = os.mkdir, []

    def mkdir(name: str, mode: int, *, dir_fd: int) -> None:
        calls.append(name)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        real(name, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "mkdir", mkdir)
    assert refused(machine / "srv" / "a" / "b").startswith("full: ")
    assert not (machine / "srv" / "a").exists()


@pytest.fixture
def lasting() -> Iterator[Path]:
    """A folder of this machine that is not below /tmp, where no store's folder is made; a home may
    be."""
    place = "/var/lib" if os.access("/var/lib", os.W_OK) else Path.home()
    with tempfile.TemporaryDirectory(dir=place) as made:
        yield Path(made)


def test_the_keeper_makes_it_when_asked_and_undoes_it(lasting: Path) -> None:
    path = lasting / "new" / "store"
    with Keeper(Machine(PANEL), str(path), "panel-one") as keeper:
        with pytest.raises(ScriptRefused) as no:
            keeper.init()
        assert no.value.code == "missing"
        with pytest.raises(ScriptRefused) as no:
            keeper.init(make=True, mounts=[str(lasting / "new")])
        assert no.value.code == "not-mounted"
        assert not path.parent.exists()
        assert keeper.init(make=True) == keeper.init()
    assert path.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    "place", ["tmp", "tmp/a", "var/tmp/store", "etc/store", "usr/lib/x", "lib/x"]
)
def test_where_files_do_not_last_or_are_the_systems_nothing_is_made(
    machine: Path, place: str
) -> None:
    (machine / "usr" / "lib").mkdir(parents=True)
    (machine / "lib").symlink_to("usr/lib")  # as all systems have it now
    said = refused(machine / place)
    assert "removes files by their age" in said or "the system's own files" in said


@pytest.mark.parametrize("kind", ["tmpfs", "ramfs", "rootfs"])
def test_in_memory_nothing_is_made(machine: Path, kind: str) -> None:
    point = machine / "srv"
    with (machine / "mountinfo").open("a") as table:
        table.write(f"40 1 8:17 / {point} rw shared:2 - ext4 /dev/sdb1 rw\n")
        table.write(f"41 40 0:30 / {point} rw - {kind} {kind} rw\n")
    assert f"would lie in memory ({kind} at {point})" in refused(point / "store")


def test_a_disk_mounted_in_memory_is_a_place(machine: Path) -> None:
    with (machine / "mountinfo").open("a") as table:
        table.write(f"39 1 0:30 / {machine} rw - rootfs rootfs rw\n")
    mounted(machine, machine / "srv", on=39)
    made = new_folder.make(str(machine / "srv" / "store"))
    assert made.paths == [str(machine / "srv" / "store")]
    made.undo()
