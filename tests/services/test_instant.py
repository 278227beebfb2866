"""A VM that runs on borrowed blocks: begun, looked after, ended, and every step that may fail."""

from typing import Any

import pytest
from django.utils import timezone

from backups.models import Generation, InstantRun
from backups.services import (
    loans,
    restore_pieces,
    run_instant,
    settle_instant,
    tend_instant,
)
from backups.services.ask_restore import Wish, ask_for_restore
from backups.services.back_up import ask_for_backup
from hosts.models import VM, Host
from labpanel.adapters import qemu_img
from labpanel.adapters.errors import AdapterError, Unreachable
from labpanel.adapters.fakes.backing_up import FakeImages, FakeKeeper, FakeMover, Scene
from labpanel.jobs import ledger, work
from labpanel.jobs.models import Job
from labpanel.jobs.states import State
from labpanel.lib.refusal import Refusal
from tests.services.test_restore import VM_UUID, generation  # noqa: F401 - a fixture


class FakeLine:
    """lending.Line: says what it is asked."""

    def __init__(self, scene: Scene, loan: Any) -> None:
        self._scene, self.loan = scene, loan

    def open(self) -> None:
        self._scene.say("line.open")

    def close(self) -> list[str]:
        self._scene.say("line.close")
        return list(self._scene.saved.get("left", []))


@pytest.fixture
def scene(db: None, monkeypatch: pytest.MonkeyPatch) -> Scene:
    made = Scene(VM_UUID)
    for module in (run_instant, settle_instant):
        monkeypatch.setattr(module, "ImageHost", lambda _: FakeImages(made))
        monkeypatch.setattr(module, "opened", made.opened)
    for module in (run_instant, restore_pieces):
        monkeypatch.setattr(module, "private_machine", made.private_machine)
    monkeypatch.setattr(restore_pieces, "ImageHost", lambda _: FakeImages(made))
    monkeypatch.setattr(restore_pieces, "Keeper", lambda *_: FakeKeeper(made))
    monkeypatch.setattr(restore_pieces, "Mover", lambda _: FakeMover(made))
    monkeypatch.setattr(qemu_img, "content_bytes", lambda *_, **__: made.content())
    monkeypatch.setattr(qemu_img, "put_over", lambda *_, **__: made.say("put_over"))
    for module in (run_instant, settle_instant, tend_instant):
        monkeypatch.setattr(module, "line_of", lambda run: FakeLine(made, loans.loan_of(run)))
    monkeypatch.setattr(settle_instant, "end_channel", lambda _: None)
    monkeypatch.setattr(tend_instant, "pool", FakePool(made))
    return made


class FakePool:
    """hypervisor.pool: the domain as `scene.saved["facts"]` has it."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def call(self, endpoint: object, name: str, *, deadline: float, **arguments: Any) -> Any:
        self._scene.say(f"pool.{name}")
        self._scene.saved.setdefault("calls", []).append((name, arguments))
        return self._scene.saved["facts"] if name == "borrowed" else None


def asked(found: Generation, **more: Any) -> Job:
    host = Host.objects.get(name="beta")
    return ask_for_restore(found, host, Wish(**{"name": "copy", "instant": True, **more}))


def done(found: Generation, **more: Any) -> Job:
    job = asked(found, **more)
    work.perform(job.pk, run_instant.run_instant)
    job.refresh_from_db()
    return job


def facts(**more: Any) -> dict[str, Any]:
    alone = {"known": True, "active": True, "state": 1, "reason": 1, "xml": "<domain/>"}
    return {**alone, "borrowed": [], "jobs": {}, **more}


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


def test_blocks_are_pulled_in_under_the_cap(scene: Scene, generation: Generation) -> None:  # noqa: F811
    done(generation, bytes_per_second=1 << 20)
    scene.saved["facts"] = facts(borrowed=["vda"])
    tend_instant.tend_instant()
    pulled = [arguments for name, arguments in scene.saved["calls"] if name == "pull"]
    assert pulled == [
        {
            "uuid": str(InstantRun.objects.get().vm_uuid),
            "target": "vda",
            "bytes_per_second": 1 << 20,
        }
    ]
    scene.saved["facts"] = facts(borrowed=["vda"], jobs={"vda": {"done": 1, "total": 4}})
    tend_instant.tend_instant()
    link = InstantRun.objects.get().links[0]
    assert link["local_bytes"] == link["total_bytes"] // 4
    assert len([name for name, _ in scene.saved["calls"] if name == "pull"]) == 1


def test_a_guest_that_was_paused_by_a_read_goes_on(scene: Scene, generation: Generation) -> None:  # noqa: F811
    done(generation)
    scene.saved["facts"] = facts(borrowed=["vda"], state=3, reason=5)
    tend_instant.tend_instant()
    assert scene.asked.index("line.open") < scene.asked.index("pool.resume")


def test_a_store_that_is_away_is_said_until_it_is_back(
    scene: Scene,
    generation: Generation,  # noqa: F811
) -> None:
    job = done(generation)
    scene.saved["facts"] = facts(borrowed=["vda"])
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


def test_the_line_is_put_back_though_the_monitor_hangs(
    scene: Scene,
    generation: Generation,  # noqa: F811
) -> None:
    done(generation)
    scene.saved["facts"] = facts(borrowed=["vda"])
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
    assert "nothing of copy is left" in settle_instant.settle(job)
    assert not InstantRun.objects.exists()
    assert scene.files == set()


def test_a_worker_that_died_after_the_start_leaves_it_running(
    scene: Scene,
    generation: Generation,  # noqa: F811
) -> None:
    job = done(generation)
    Job.objects.filter(pk=job.pk).update(state=State.RUNNING, ended_at=timezone.now())
    assert "it runs" in settle_instant.settle(job)
    assert InstantRun.objects.exists()


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
