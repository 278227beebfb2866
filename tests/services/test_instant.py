"""A VM that runs on borrowed blocks: begun, looked after, ended, and every step that may fail."""

import dataclasses
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from backups.models import Generation, InstantRun, MadeVM
from backups.services.backup.back_up import ask_for_backup
from backups.services.index import channels
from backups.services.instant import persistent_exports, run_instant, tend_instant
from backups.services.instant import settle as settle_instant
from backups.services.restore import pieces as restore_pieces
from backups.services.restore.ask_restore import RestoreRequest, ask_for_restore
from hosts.models import VM, Host, VirtualDisk
from labpanel.adapters.errors import AdapterError, TimedOut, Unreachable
from labpanel.adapters.images import qemu_img
from labpanel.adapters.libvirt.uses.borrowing import BlockJob, Borrowed
from labpanel.jobs import ledger, settling, work
from labpanel.jobs.models import Job
from labpanel.jobs.states import State
from labpanel.lib.refusal import Refusal
from labpanel.lib.vm_state import Reason
from tests.fakes.backing_up import FakeImages, Scene
from tests.fakes.block_moving import FakeMover
from tests.fakes.keeping import FakeKeeper
from tests.fakes.tending import Tended
from tests.services.test_restore import VM_UUID, generation  # noqa: F401 - a fixture


class FakeLine:
    """lending.RemoteBacking: says what it is asked."""

    def __init__(self, scene: Scene, backing: Any) -> None:
        self._scene, self.backing = scene, backing

    def open(self) -> dict[str, list[int]]:
        self._scene.say("line.open")
        return dict(self._scene.saved.get("bad", {}))

    def close(self) -> list[str]:
        self._scene.say("line.close")
        return list(self._scene.saved.get("left", []))


@pytest.fixture
def scene(db: None, monkeypatch: pytest.MonkeyPatch) -> Scene:
    made = Scene(VM_UUID)
    for module in (run_instant, settle_instant):
        monkeypatch.setattr(module, "ImageHost", lambda _: FakeImages(made))
        monkeypatch.setattr(module, "opened", made.opened)
    monkeypatch.setattr(channels, "private_machine", made.private_machine)
    monkeypatch.setattr(restore_pieces, "ImageHost", lambda _: FakeImages(made))
    monkeypatch.setattr(restore_pieces, "Keeper", lambda *_: FakeKeeper(made))
    monkeypatch.setattr(restore_pieces, "Mover", lambda _: FakeMover(made))
    monkeypatch.setattr(qemu_img, "put_over", lambda *_, **__: made.say("put_over"))
    for module in (run_instant, settle_instant, tend_instant):
        monkeypatch.setattr(
            module,
            "remote_backing_of",
            lambda run: FakeLine(made, persistent_exports.backing_of(run)),
        )
    monkeypatch.setattr(channels, "end_channel", lambda _: None)
    monkeypatch.setattr(tend_instant, "pool", FakePool(made))
    return made


class FakePool:
    """hypervisor.pool: the domain as `scene.saved["facts"]` has it."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def of(self, endpoint: object) -> "Tended":
        return Tended(self._scene)


def asked(found: Generation, **more: Any) -> Job:
    host = Host.objects.get(name="beta")
    return ask_for_restore(found, host, RestoreRequest(**{"name": "copy", "instant": True, **more}))


def done(found: Generation, **more: Any) -> Job:
    job = asked(found, **more)
    work.perform(job.pk, run_instant.run_instant)
    job.refresh_from_db()
    return job


def facts(**more: Any) -> Borrowed:
    alone = Borrowed(active=True, state="running", reason=Reason.BOOTED, xml="<domain/>")
    return dataclasses.replace(alone, **more)


def test_it_runs_and_its_row_holds_the_generation(scene: Scene, generation: Generation) -> None:  # noqa: F811
    job = done(generation)
    assert job.state == State.DONE, job.detail
    run = InstantRun.objects.get()
    assert (run.vm_name, run.generation, run.job) == ("copy", generation, job)
    assert scene.asked.index("line.open") < scene.asked.index("put_over")
    assert scene.asked[-1] == "start"
    assert "never read back" in job.sentence
    with pytest.raises(Exception, match="protected"):
        generation.delete()


@pytest.mark.parametrize(
    "step", ["line.open", "images.create", "put_over", "define", "start", "measure", "uuid_of"]
)
def test_whatever_step_fails_nothing_is_left(
    scene: Scene,
    generation: Generation,  # noqa: F811
    step: str,
) -> None:
    scene.fails[step] = Unreachable("beta does not answer.")
    scene.active = False
    assert done(generation).state == State.FAILED
    assert scene.files == set()
    assert not InstantRun.objects.exists()


def test_a_vm_that_started_though_the_answer_was_lost_runs_on(
    scene: Scene,
    generation: Generation,  # noqa: F811
) -> None:
    scene.fails["start"] = TimedOut("beta gave no answer within 60 s.")
    assert done(generation).state == State.FAILED
    files, domains = set(scene.files), dict(scene.domains)
    assert files and domains
    settling.settle(timezone.now())
    assert (scene.files, scene.domains) == (files, domains)
    assert InstantRun.objects.exists()
    job = Job.objects.get()
    assert job.sentence.startswith("copy runs on beta after all. Before: ")
    assert not job.obligations.exists()


def test_a_file_that_came_to_the_name_meanwhile_stays(
    scene: Scene,
    generation: Generation,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Between the choice of a free name and the file of that name lie a check of the copy's files
    and libvirt's of the definition."""
    theirs: set[str] = set()

    def opened(_: FakeLine) -> None:
        theirs.add(InstantRun.objects.get().links[-1]["path"])
        scene.files |= theirs

    monkeypatch.setattr(FakeLine, "open", opened)
    scene.active = False
    assert done(generation).state == State.FAILED
    assert scene.files == theirs != set()
    assert not InstantRun.objects.exists()


def test_a_damaged_generation_is_refused(scene: Scene, generation: Generation) -> None:  # noqa: F811
    generation.state = Generation.State.DAMAGED
    with pytest.raises(Refusal, match="is damaged and cannot be restored"):
        asked(generation)


def test_it_takes_all_from_one_generation(scene: Scene, generation: Generation) -> None:  # noqa: F811
    other = Generation.objects.get()
    other.pk, other.key = None, "20261129T231500Z-abc124"
    other.save()
    with pytest.raises(Refusal, match="from one generation"):
        asked(generation, disks={"vda": other})


def test_a_vm_whose_last_run_is_not_cleaned_up_is_refused(
    scene: Scene,
    generation: Generation,  # noqa: F811
) -> None:
    away = Host.objects.create(name="alpha", target="root@alpha")
    InstantRun.objects.create(vm_uuid=VM_UUID, vm_name="home", host=away, generation=generation)
    with pytest.raises(Refusal, match="not cleaned up yet: wait until alpha answers"):
        asked(generation, name="home")
    assert asked(generation).kind == "instant"  # a copy has a UUID of its own


@pytest.mark.parametrize("cap", [-1, 1 << 64])
def test_a_cap_that_is_none_is_refused(
    scene: Scene,
    generation: Generation,  # noqa: F811
    cap: int,
) -> None:
    with pytest.raises(Refusal, match="up to 1 TiB/s"):
        asked(generation, bytes_per_second=cap)


def test_blocks_are_pulled_in_under_the_cap(scene: Scene, generation: Generation) -> None:  # noqa: F811
    done(generation, bytes_per_second=1 << 20)
    scene.saved["facts"] = facts(borrowed=("vda",))
    tend_instant.tend_instant()
    uuid = str(InstantRun.objects.get().vm_uuid)
    assert scene.saved["pulled"] == [(uuid, "vda", 1 << 20)]
    scene.saved["facts"] = facts(borrowed=("vda",), jobs={"vda": BlockJob(1, 4)})
    tend_instant.tend_instant()
    link = InstantRun.objects.get().links[0]
    assert link["local_bytes"] == link["total_bytes"] // 4
    assert len(scene.saved["pulled"]) == 1


def test_a_guest_that_was_paused_by_a_read_goes_on(scene: Scene, generation: Generation) -> None:  # noqa: F811
    done(generation)
    scene.saved["facts"] = facts(borrowed=("vda",), state="paused", reason=Reason.IO_ERROR)
    tend_instant.tend_instant()
    assert scene.asked.index("line.open") < scene.asked.index("pool.resume")


def test_a_store_that_is_away_is_said_until_it_is_back(
    scene: Scene,
    generation: Generation,  # noqa: F811
) -> None:
    job = done(generation)
    scene.saved["facts"] = facts(borrowed=("vda",))
    scene.fails["line.open"] = Unreachable("beta does not answer.")
    tend_instant.tend_instant()
    tend_instant.tend_instant()
    assert InstantRun.objects.get().error == "beta does not answer."
    scene.fails = {}
    tend_instant.tend_instant()
    assert InstantRun.objects.get().error == ""
    said = [line.text for line in job.lines.all()]
    assert said.count("beta does not answer.") == 1
    assert "The line to far is back." in said


def test_a_block_that_was_not_handed_out_is_named(scene: Scene, generation: Generation) -> None:  # noqa: F811
    job = done(generation)
    scene.saved.update(facts=facts(borrowed=("vda",)), bad={"vda": [524288, 786432]})
    tend_instant.tend_instant()
    error = InstantRun.objects.get().error
    assert error.startswith("The block at byte 524288 of vda and 1 more of generation ")
    assert "was not given to copy: it pauses where it reads there" in error
    assert error in [line.text for line in job.lines.all()]
    assert "pool.pull" in scene.asked  # all others still come


def test_the_line_is_put_back_though_the_monitor_hangs(
    scene: Scene,
    generation: Generation,  # noqa: F811
) -> None:
    done(generation)
    scene.saved["facts"] = facts(borrowed=("vda",))
    scene.asked.clear()
    scene.fails["pool.borrowed"] = Unreachable("libvirt on beta gave no answer within 15 s.")
    tend_instant.tend_instant()
    assert "line.open" in scene.asked
    assert InstantRun.objects.get().error == "libvirt on beta gave no answer within 15 s."


def test_at_the_end_nothing_is_lent_and_the_definition_is_clean(
    scene: Scene,
    generation: Generation,  # noqa: F811
) -> None:
    done(generation)
    scene.saved.update(facts=facts(), left=["beta does not answer."])
    tend_instant.tend_instant()
    assert InstantRun.objects.get().error == "beta does not answer."
    scene.saved["left"] = []
    tend_instant.tend_instant()
    assert not InstantRun.objects.exists()
    assert "pool.define" in scene.asked


@pytest.mark.parametrize("step", ["put_over", "define"])
def test_a_killed_worker_is_settled(
    scene: Scene,
    generation: Generation,  # noqa: F811
    step: str,
) -> None:
    job = ledger.claim(asked(generation).pk, "worker")
    assert job is not None
    scene.active = False
    scene.fails = {step: KeyboardInterrupt(), "line.close": AdapterError("dead")}
    with pytest.raises(KeyboardInterrupt):
        run_instant.run_instant(work.Work(job))
    scene.fails = {}
    job.refresh_from_db()
    assert InstantRun.objects.exists()
    assert "nothing of copy is left" in ledger.settle(job)
    assert not InstantRun.objects.exists()
    assert scene.files == set()


def test_a_worker_that_died_after_the_start_leaves_it_running(
    scene: Scene,
    generation: Generation,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    job = ledger.claim(asked(generation).pk, "worker")
    assert job is not None
    monkeypatch.setattr(run_instant.StartingRun, "_told", killed)
    with pytest.raises(KeyboardInterrupt):
        run_instant.run_instant(work.Work(job))
    assert "it runs" in ledger.settle(job)
    assert InstantRun.objects.exists()


@pytest.fixture
def unpaid(scene: Scene, generation: Generation) -> Job:  # noqa: F811
    """An ended job whose VM did not start, and whose tidying broke off at the images."""
    scene.active = False
    scene.fails = {"start": Unreachable("beta is away."), "images.remove": AdapterError("lost")}
    job = done(generation)
    assert job.state == State.FAILED
    assert job.obligations.filter(kind="instant", paid_at=None).exists()
    scene.fails = {}
    scene.domains.clear()
    return job


def test_what_an_ended_job_left_goes_with_a_later_turn(scene: Scene, unpaid: Job) -> None:
    settling.settle(timezone.now())
    assert scene.files == set()
    assert not InstantRun.objects.exists()
    assert not unpaid.obligations.exists()


@pytest.mark.parametrize("state", [State.DONE, State.FAILED])
def test_the_vm_that_a_later_restore_brought_back_stays(
    scene: Scene, unpaid: Job, state: State
) -> None:
    """It has the name, the UUID and the paths that the first tidying made free again."""
    parameters = unpaid.parameters
    later = Job.objects.create(kind="restore", title="x", state=state, parameters=parameters)
    if state == State.FAILED:  # it was defined, and did not start
        MadeVM.objects.filter(vm_uuid=parameters["uuid"]).update(job=later)
    scene.domains[parameters["uuid"]] = "copy"
    files = set(scene.files)
    assert files
    settling.settle(timezone.now())
    assert (scene.files, scene.domains) == (files, {parameters["uuid"]: "copy"})
    assert not InstantRun.objects.exists()
    assert not unpaid.obligations.exists()


def test_a_later_job_on_its_way_is_waited_for(scene: Scene, unpaid: Job) -> None:
    later = Job.objects.create(
        kind="restore", title="x", state=State.RUNNING, parameters=unpaid.parameters
    )
    files = set(scene.files)
    settling.settle(timezone.now())
    assert scene.files == files
    assert unpaid.obligations.filter(paid_at=None).exists()
    ledger.finish(later.pk, State.FAILED, "There was no room.")
    settling.settle(timezone.now() + timedelta(minutes=5))
    assert scene.files == set()


def test_a_path_that_another_vm_has_by_now_stays(scene: Scene, unpaid: Job) -> None:
    seen = {"first_seen_at": timezone.now(), "seen_at": timezone.now()}
    host, files = Host.objects.get(name="beta"), set(scene.files)
    other = VM.objects.create(uuid=uuid4(), name="other", host=host, **seen)
    VirtualDisk.objects.create(vm=other, target="vda", source=min(files), **seen)
    settling.settle(timezone.now())
    assert scene.files == files


def test_it_is_backed_up_when_its_blocks_are_its_own(
    scene: Scene,
    generation: Generation,  # noqa: F811
) -> None:
    done(generation)
    now, run = timezone.now(), InstantRun.objects.get()
    vm = VM.objects.create(
        uuid=run.vm_uuid, name="copy", host=run.host, first_seen_at=now, seen_at=now
    )
    with pytest.raises(Refusal, match="copy still runs on blocks of generation"):
        ask_for_backup(vm, generation.store)
    run.delete()
    assert ask_for_backup(vm, generation.store).kind == "backup"
