"""Scratch and staging lie where writes are taken: beside the images, or on another file system."""

from datetime import timedelta

import pytest
from django.utils import timezone

from backups.models import Store
from backups.selectors.stores.asides import asides, unsaved
from backups.services.backup.back_up import ask_for_backup
from backups.services.backup.owed import AsideFolder, OpenBackup
from backups.services.index.identity import panel_id
from backups.services.index.partial import PartialGeneration
from hosts.models import VM, FileSystem, PhysicalDisk
from labpanel.adapters.errors import AdapterError, Unreachable
from labpanel.jobs import ledger, obligations, settling, work
from labpanel.jobs.models import Job, Obligation
from labpanel.jobs.obligations import Owed
from labpanel.jobs.states import State
from tests.fakes.backing_up import Scene
from tests.pages import factory
from tests.services.test_back_up import done, scene, store, vm

__all__ = ["scene", "store", "vm"]  # fixtures
IMAGES, DATA, OTHER = "/srv/images", "/data", "/mnt/other"
RO = "Read-only file system"
GIB = 1 << 30


@pytest.fixture(autouse=True)
def mounts(vm: VM) -> None:
    for place, free in ((IMAGES, 90), (DATA, 40), (OTHER, 60), ("/", 10), ("/boot/efi", 70)):
        made = mount(vm, place, free * GIB)
        if place == IMAGES:
            vm.disks.update(file_system=made)


def mount(vm: VM, place: str, free: int, fstype: str = "ext4") -> FileSystem:
    now = timezone.now()
    made: FileSystem = FileSystem.objects.create(
        host=vm.host, mount_point=place, source="/dev/x", fstype=fstype, available_bytes=free,
        size_bytes=free, seen_at=now,
    )  # fmt: skip
    return made


def finding(vm: VM, place: str, severity: str = "bad") -> None:
    made = factory.make_finding(vm.host, kind="file-system", subject=place, severity=severity)
    if place == IMAGES:
        made.vms.add(vm)


def said(job: Job) -> str:
    return " ".join(line.text for line in job.lines.all())


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[Owed]:
    """What was written down before a step, in order."""
    found: list[Owed] = []
    real = obligations.write

    def write(job: Job, owed: Owed) -> Obligation:
        found.append(owed)
        return real(job, owed)

    monkeypatch.setattr(obligations, "write", write)
    return found


def written_files(written: list[Owed]) -> list[str]:
    """Of the newest backup: those that QEMU writes, without the socket that it listens on."""
    newest = [owed for owed in written if isinstance(owed, OpenBackup)][-1]
    return [file for file in newest.files if file.endswith((".scratch", ".staging"))]


def test_the_roomiest_of_those_that_are_well_comes_first(vm: VM) -> None:
    assert asides(vm) == [OTHER, DATA, "/var/tmp"]
    finding(vm, OTHER)
    finding(vm, DATA, "watch")
    assert asides(vm) == [DATA, "/var/tmp"]
    mount(vm, "/media/usb", 900 * GIB, "exfat")
    mount(vm, "/mnt/pool", 5 * GIB, "fuse.mergerfs")
    assert asides(vm) == [DATA, "/var/tmp", "/mnt/pool"]
    FileSystem.objects.filter(mount_point=DATA).update(missing_since=timezone.now())
    assert asides(vm) == ["/var/tmp", "/mnt/pool"]


def test_another_drive_comes_before_more_room(vm: VM) -> None:
    drive = PhysicalDisk.objects.create(
        host=vm.host, key="wwn-1", device="/dev/sda", seen_at=timezone.now()
    )
    for one in FileSystem.objects.filter(mount_point__in=[IMAGES, OTHER]):
        one.drives.add(drive)
    assert asides(vm) == [DATA, "/var/tmp", OTHER]


def test_beside_the_images_where_that_is_well(scene: Scene, vm: VM, store: Store) -> None:
    assert done(vm, store).state == State.DONE
    assert "images.make_aside" not in scene.asked


@pytest.mark.parametrize("iothread", [False, True])
@pytest.mark.parametrize("why", [RO, "Input/output error", "a write hangs for more than 8 s", ""])
def test_what_takes_no_writes_is_left_for_another_file_system(
    scene: Scene, vm: VM, store: Store, written: list[Owed], why: str, iothread: bool
) -> None:
    """An empty `why`: it takes writes, and has no room for this."""
    scene.iothread = iothread
    scene.places.no_writes[IMAGES] = why
    scene.room_of[IMAGES] = 1 << 20 if not why else 90 * GIB
    job = done(vm, store)
    assert job.state == State.DONE
    folder = f"{OTHER}/.lp{panel_id()[:4]}-{job.pk}-aside"
    assert AsideFolder(vm.host.pk, folder) in written
    files = written_files(written)
    assert [file.startswith(f"{folder}/") for file in files] == [True]
    assert folder in said(job)
    assert (why or "too little room") in said(job)
    assert scene.places.made == set()


def test_one_after_the_other_is_tried(
    scene: Scene, vm: VM, store: Store, written: list[Owed]
) -> None:
    scene.places.no_writes |= {IMAGES: RO, OTHER: "Permission denied"}
    scene.room_of[DATA] = 1 << 20
    job = done(vm, store)
    assert job.state == State.DONE
    assert written_files(written)[0].startswith("/var/tmp/.lp")


def test_what_is_in_trouble_comes_last(
    scene: Scene, vm: VM, store: Store, written: list[Owed]
) -> None:
    finding(vm, IMAGES)
    done(vm, store)
    assert written_files(written)[0].startswith(f"{OTHER}/.lp")
    scene.places.no_writes |= {OTHER: RO, DATA: RO, "/var/tmp": RO}
    job = done(vm, store)
    assert (job.state, written_files(written)[0].startswith(IMAGES)) == (State.DONE, True)


def test_where_nothing_takes_it_the_refusal_says_what_is_lost(
    scene: Scene, vm: VM, store: Store
) -> None:
    scene.places.no_writes |= {IMAGES: RO, OTHER: RO, DATA: "Permission denied"}
    scene.room_of["/var/tmp"] = 1 << 20
    job = done(vm, store)
    assert job.state == State.FAILED
    for part in (
        f"{IMAGES} takes no writes ({RO})",
        f"{OTHER} takes no writes of QEMU ({RO})",
        f"{DATA} takes no writes of QEMU (Permission denied)",
        "/var/tmp has too little room",
        "home has no copy: all of it is lost if its disks are.",
    ):
        assert part in job.sentence.replace("\N{NO-BREAK SPACE}", " ")
    assert "backup_begin" not in scene.asked
    assert scene.places.made == set()


def test_what_is_lost_is_told_from_the_newest_copy(vm: VM, store: Store) -> None:
    factory.make_generation(vm, store, timedelta(hours=9), "vda")
    factory.make_generation(vm, store, timedelta(hours=3), "vda")
    factory.make_generation(vm, store, timedelta(hours=1), "vda", state="damaged")
    words = unsaved(vm, timezone.now()).replace("\N{NO-BREAK SPACE}", " ")
    assert words == (
        "What home wrote since its copy of 3 h ago in far is not saved, and is lost if its disks "
        "are."
    )


def test_a_backup_that_fails_leaves_no_folder(scene: Scene, vm: VM, store: Store) -> None:
    scene.places.no_writes[IMAGES] = RO
    scene.fails["mover.back_up"] = Unreachable("beta does not answer.")
    assert done(vm, store).state == State.FAILED
    assert scene.places.made == set()


def test_a_folder_goes_later_where_libvirt_still_held_its_files(
    scene: Scene, vm: VM, store: Store, written: list[Owed]
) -> None:
    def broken() -> None:
        scene.files.update(written_files(written))
        raise Unreachable("beta does not answer.")

    scene.places.no_writes[IMAGES] = RO
    scene.during_copy = broken
    scene.fails = {"abort_backup": AdapterError("libvirt is busy.")}
    job = done(vm, store)
    assert job.state == State.FAILED
    assert (len(scene.places.made), len(scene.files)) == (1, 1)
    scene.fails = {}
    settling.settle(timezone.now())
    assert (scene.places.made, scene.files) == (set(), set())
    assert not job.obligations.exists()


def test_a_killed_worker_leaves_no_folder_after_its_settling(
    scene: Scene, vm: VM, store: Store
) -> None:
    """Also where it died before libvirt was asked for anything."""
    job = ledger.claim(ask_for_backup(vm, store).pk, "worker")
    assert job is not None
    folder = f"{OTHER}/.lp00-1-aside"
    scene.places.made.add(folder)
    key = "20261122T231500Z-abc123"
    work.Work(job).owe(PartialGeneration(store.host_id, store.pk, str(vm.uuid), key))
    work.Work(job).owe(AsideFolder(vm.host.pk, folder))
    ledger.settle(job)
    assert scene.places.made == set()
