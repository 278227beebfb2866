"""A backup in which anything may fail: the guest thawed, our job ended, nothing partial kept."""

import uuid
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from backups.models import Generation, Store
from backups.selectors.coverage.coverage import coverage
from backups.services.backup import back_up as service
from backups.services.backup import backup_guard, copying, end_backup, open_disks, owed
from backups.services.backup.back_up import ask_for_backup, back_up
from backups.services.index import channels, partial
from hosts.models import VM, Host, VirtualDisk
from labpanel.adapters.errors import AdapterError, TimedOut, Unreachable
from labpanel.adapters.ssh.session import ScriptRefused
from labpanel.jobs import ledger, work
from labpanel.jobs.ledger import Busy
from labpanel.jobs.models import Job
from labpanel.jobs.states import State
from labpanel.lib.refusal import Refusal
from tests.fakes.backing_up import FakeImages, FakeSource, Scene
from tests.fakes.block_moving import FakeMover
from tests.fakes.keeping import FakeKeeper

VM_UUID = "11111111-2222-4333-8444-555555555555"


@pytest.fixture
def scene(db: None, monkeypatch: pytest.MonkeyPatch) -> Scene:
    made = Scene(VM_UUID)

    def keeper(*_: Any) -> FakeKeeper:
        return FakeKeeper(made)

    def images(_: Any) -> FakeImages:
        return FakeImages(made)

    def mover(_: Any) -> FakeMover:
        return FakeMover(made)

    for module in (service, partial):
        monkeypatch.setattr(module, "Keeper", keeper)
    for module in (service, owed):
        monkeypatch.setattr(module, "ImageHost", images)
        monkeypatch.setattr(module, "opened", made.opened)
    monkeypatch.setattr(service, "Mover", mover)
    monkeypatch.setattr(open_disks, "SourceHost", lambda _: FakeSource(made))
    monkeypatch.setattr(end_backup, "AGAIN_SECONDS", ())
    monkeypatch.setattr(backup_guard, "AGAIN_SECONDS", 0)
    monkeypatch.setattr(copying, "relayed", made.relayed)
    monkeypatch.setattr(channels, "private_machine", made.private_machine)
    monkeypatch.setattr(channels, "end_channel", lambda _: None)
    return made


@pytest.fixture
def vm(db: None) -> VM:
    now = timezone.now()
    host = Host.objects.create(name="alpha", target="root@alpha", seen_at=now)
    vm = VM.objects.create(
        uuid=VM_UUID, name="home", host=host, state="running", first_seen_at=now, seen_at=now
    )
    VirtualDisk.objects.create(
        vm=vm,
        target="vda",
        source="/srv/images/home.qcow2",
        format="qcow2",
        first_seen_at=now - timedelta(hours=1),
        seen_at=now,
    )
    return vm


@pytest.fixture
def store(vm: VM) -> Store:
    beta = Host.objects.create(name="beta", target="root@beta", seen_at=timezone.now())
    return Store.objects.create(name="far", host=beta, path="/srv/store", store_id=uuid.uuid4())


def later(turn: int) -> datetime:
    """Turns so far apart that what is still owed is tried in each."""
    return timezone.now() + timedelta(hours=turn)


def done(vm: VM, store: Store) -> Job:
    job = ask_for_backup(vm, store)
    work.perform(job.pk, back_up)
    job.refresh_from_db()
    return job


def test_a_running_vm_is_kept_and_covered(scene: Scene, vm: VM, store: Store) -> None:
    assert [row.verdict for row in coverage(timezone.now())] == ["none"]
    job = done(vm, store)
    assert (job.state, job.progress) == (State.DONE, 100)
    generation = Generation.objects.get()
    assert job.result == {
        "generation": generation.key,
        "vm": "home",
        "store": "far",
        "consistency": "quiesced",
        "disks": [
            {
                "target": "vda",
                "mode": "full",
                "virtual_bytes": 8 << 20,
                "read_bytes": 8 << 20,
                "written_bytes": 2 << 20,
                "seconds": 0.5,
            }
        ],
    }
    assert scene.pulling == ""
    assert generation.manifest.as_json()["parent"] is None
    assert [row.verdict for row in coverage(timezone.now())] == ["unverified"]


def test_a_guest_without_an_answering_agent_is_crash_consistent(
    scene: Scene, vm: VM, store: Store
) -> None:
    scene.quiesced = False
    assert done(vm, store).state == State.DONE
    assert Generation.objects.get().consistency == Generation.Consistency.CRASH


def test_a_vm_that_is_off_is_read_by_qemu_nbd(scene: Scene, vm: VM, store: Store) -> None:
    scene.active = False
    assert done(vm, store).state == State.DONE
    assert Generation.objects.get().consistency == Generation.Consistency.OFF
    assert "backup_begin" not in scene.asked
    assert "thaw" not in scene.asked


def test_a_vm_that_was_saved_with_its_memory_was_not_powered_off(
    scene: Scene, vm: VM, store: Store
) -> None:
    scene.active, scene.managed_save = False, True
    assert done(vm, store).state == State.DONE
    made = Generation.objects.get()
    assert made.consistency == Generation.Consistency.CRASH
    assert "saved with its memory" in made.manifest.not_quiesced


STEPS = (
    "backup_facts",
    "block_info",
    "mover.ready",
    "keeper.lock",
    "keeper.begin",
    "images.domain_folder",
    "backup_begin",
    "keeper.serve_bytes",
    "relay",
    "images.serve_compressing",
    "mover.back_up",
    "images.stop",
    "keeper.stop",
    "keeper.finish",
)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    "error", [Unreachable("beta does not answer."), ScriptRefused("full", "No space left.")]
)
def test_whatever_step_fails_nothing_half_done_is_left(
    scene: Scene, vm: VM, store: Store, step: str, error: AdapterError
) -> None:
    scene.fails[step] = error
    job = done(vm, store)
    assert job.state == State.FAILED
    assert job.sentence.endswith("and no copy was made; try again when that is mended.")
    assert scene.pulling == ""
    assert scene.partials == set()
    assert not Generation.objects.exists()
    if step in STEPS[STEPS.index("backup_begin") :] and "backup_begin" in scene.asked:
        assert "abort_backup" in scene.asked


def test_a_freeze_without_an_answer_is_thawed(scene: Scene, vm: VM, store: Store) -> None:
    scene.fails["backup_begin"] = TimedOut("libvirt did not answer.")
    assert done(vm, store).state == State.FAILED
    begun = scene.asked.index("backup_begin")
    assert scene.asked[begun + 1 : begun + 3] == ["thaw", "abort_backup"]


def test_scratch_that_runs_low_gives_up_for_the_guest(
    scene: Scene, vm: VM, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backups.services.index.meter.CHECK_SECONDS", 0)

    def fill() -> None:
        scene.available_bytes = 1 << 20

    scene.during_copy = fill
    job = done(vm, store)
    assert job.state == State.FAILED
    assert "ran low" in job.sentence
    assert scene.pulling == ""


def test_a_guest_that_a_failed_write_stopped_goes_on(
    scene: Scene, vm: VM, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """libvirt: paused (3), I/O error (5). The backup is ended first, since it was in the way."""
    monkeypatch.setattr("backups.services.index.meter.CHECK_SECONDS", 0)

    def stop() -> None:
        scene.paused_for = (3, 5)

    scene.during_copy = stop
    job = done(vm, store)
    assert job.state == State.FAILED
    assert "A write of home failed during the backup" in job.sentence
    assert scene.asked.index("abort_backup") < scene.asked.index("resume")


def test_a_guest_that_was_paused_by_its_owner_stays_so(scene: Scene, vm: VM, store: Store) -> None:
    scene.paused_for = (3, 1)
    assert done(vm, store).state == State.DONE
    assert "resume" not in scene.asked


def test_no_room_for_scratch_is_refused_before_it_starts(
    scene: Scene, vm: VM, store: Store
) -> None:
    scene.available_bytes = 1 << 20
    assert "too little room" in done(vm, store).sentence
    assert "backup_begin" not in scene.asked


def test_a_vm_that_starts_in_the_middle_wins(scene: Scene, vm: VM, store: Store) -> None:
    scene.active = False

    def start() -> None:
        scene.active = True

    scene.during_copy = start
    job = done(vm, store)
    assert job.state == State.FAILED
    assert "was started while it was copied" in job.sentence
    assert scene.partials == set()


def test_what_a_broken_backup_left_goes_with_the_next_one(
    scene: Scene, vm: VM, store: Store
) -> None:
    """The store was away when it broke, and may be looked at only minutes after this."""
    silent = Unreachable("beta does not answer.")
    scene.fails |= {"mover.back_up": silent, "keeper.drop": silent}
    assert done(vm, store).state == State.FAILED
    (left,) = scene.partials
    scene.fails.clear()
    assert done(vm, store).state == State.DONE
    assert left not in scene.partials


def test_a_leftover_that_cannot_be_removed_holds_up_no_backup(
    scene: Scene, vm: VM, store: Store
) -> None:
    scene.fails |= {"mover.back_up": Unreachable("beta does not answer.")}
    done(vm, store)
    scene.fails = {"keeper.drop": ScriptRefused("foreign", "It belongs to another panel.")}
    assert done(vm, store).state == State.DONE


def test_a_busy_libvirt_is_refused(scene: Scene, vm: VM, store: Store) -> None:
    scene.busy = True
    assert "already runs a job on home" in done(vm, store).sentence
    assert scene.partials == set()


def test_cancelling_leaves_nothing(
    scene: Scene, vm: VM, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backups.services.index.meter.CHECK_SECONDS", 0)

    def cancel() -> None:
        ledger.ask_to_cancel(Job.objects.get())

    scene.during_copy = cancel
    assert done(vm, store).state == State.CANCELLED
    assert scene.partials == set()
    assert scene.pulling == ""


def test_one_backup_of_a_vm_at_a_time(scene: Scene, vm: VM, store: Store) -> None:
    ask_for_backup(vm, store)
    with pytest.raises(Busy):
        ask_for_backup(vm, store)


def test_a_missing_vm_is_refused(scene: Scene, vm: VM, store: Store) -> None:
    vm.missing_since = timezone.now()
    with pytest.raises(Refusal, match="missing since"):
        ask_for_backup(vm, store)
    assert not Job.objects.exists()


@pytest.mark.parametrize("count", [1, 12])
def test_coverage_costs_the_same_for_any_number(
    scene: Scene, vm: VM, store: Store, count: int, django_assert_max_num_queries: Any
) -> None:
    done(vm, store)
    now = timezone.now()
    for number in range(count):
        VirtualDisk.objects.create(
            vm=vm, target=f"vd{number}x", source=f"/x{number}", first_seen_at=now, seen_at=now
        )
    with django_assert_max_num_queries(8):
        assert len(coverage(now)) == count + 1
