"""The job that moves a VM: refusals before, the truth after, on fakes that can be told to fail."""

import dataclasses
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from hosts.models import VM, Host
from labpanel.adapters.errors import TimedOut, Unreachable
from labpanel.adapters.libvirt.uses.moving import JobStats
from labpanel.adapters.moving import tunnel
from labpanel.jobs import ledger, settling, work
from labpanel.jobs.ledger import Busy
from labpanel.jobs.models import Job
from labpanel.jobs.states import State
from labpanel.lib.actor import Actor
from labpanel.lib.refusal import Refusal
from labpanel.moves.services import arrived, facts, move, move_live
from labpanel.moves.services import ends as both
from labpanel.moves.services.handover import Finished, finish
from tests.fakes.moving import PAUSED, RUNNING
from tests.services.moved import IMAGE, Stage, make_stage

SILENT = Unreachable("It does not answer.")


@pytest.fixture
def stage(db: None, monkeypatch: pytest.MonkeyPatch) -> Stage:
    made = make_stage()
    monkeypatch.setattr(facts, "of_source", made.of_source)
    monkeypatch.setattr(facts, "of_targets", made.of_targets)
    monkeypatch.setattr(both, "opened", made.opened)
    monkeypatch.setattr(arrived, "look", lambda *_: None)
    monkeypatch.setattr(tunnel, "close", lambda *_: None)
    return made


def migrates(monkeypatch: pytest.MonkeyPatch, effect: Any) -> None:
    """Let libvirt's call do `effect(source, destination)` and then fail if that is an error."""

    def migrate(_: Any, __: Any, ends: Any, hand: Any) -> tuple[float | None, Finished]:
        error = effect(ends.source.libvirt, ends.destination.libvirt)
        if error is not None:
            raise error
        return 1.0, finish(ends, hand)

    monkeypatch.setattr(move_live, "_migrate", migrate)


def arrives(source: Any, destination: Any) -> None:
    source.domain, destination.domain = None, PAUSED


def done(stage: Stage) -> Job:
    job = move.ask(stage.vm, None, Actor.user("olga"))
    work.perform(job.pk, move.move)
    job.refresh_from_db()
    return job


def host_of(stage: Stage) -> str:
    return VM.objects.get(pk=stage.vm.pk).host.name


def test_a_move_ends_with_the_vm_at_the_other_host(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrates(monkeypatch, arrives)
    job = done(stage)
    assert (job.state, job.progress) == (State.DONE, 100)
    assert job.sentence.startswith("web is on beta now. Downtime: ")
    result = job.result or {}
    assert {key: result[key] for key in ("vm", "from", "to", "way", "verified", "job")} == {
        "vm": "web", "from": "alpha", "to": "beta", "way": "live", "verified": False, "job": job.pk
    }  # fmt: skip
    assert result["downtime_ms"] > 0
    assert host_of(stage) == "beta"
    assert stage.beta.files == {IMAGE: ""}
    assert [path.partition(".moved-")[0] for path in stage.alpha.files] == [IMAGE]


def test_every_obstacle_is_said_and_nothing_is_opened(stage: Stage) -> None:
    stage.target = dataclasses.replace(stage.target, bridges=frozenset(), memory_available=0)
    with pytest.raises(Refusal) as refused:
        move.ask(stage.vm, None, Actor.user("olga"))
    assert refused.value.http_status == 409
    assert "bridge br0" in refused.value.sentence
    assert "memory" in refused.value.sentence
    assert not Job.objects.exists()


def test_its_own_host_is_no_target(stage: Stage) -> None:
    with pytest.raises(Refusal, match="is on alpha already"):
        move.ask(stage.vm, stage.vm.host, Actor.user("olga"))


def test_its_host_under_another_name_is_no_target(stage: Stage) -> None:
    Host.objects.update(machine_id="1" * 32)
    vm = VM.objects.get(pk=stage.vm.pk)
    with pytest.raises(Refusal, match="beta is the same machine as alpha, where web is already"):
        move.ask(vm, Host.objects.get(name="beta"), Actor.user("olga"))
    with pytest.raises(Refusal, match="no other host"):
        move.ask(vm, None, Actor.user("olga"))


def test_the_only_host_has_nowhere_to_move_to(stage: Stage) -> None:
    Host.objects.filter(name="beta").delete()
    with pytest.raises(Refusal, match="no other host"):
        move.ask(stage.vm, None, Actor.user("olga"))


def test_a_host_that_does_not_answer_is_an_obstacle_in_words(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(_: VM) -> Any:
        raise Unreachable("alpha does not answer.")

    monkeypatch.setattr(facts, "of_source", silent)
    with pytest.raises(Refusal, match="While its host does not answer, web"):
        move.ask(stage.vm, None, Actor.user("olga"))


def test_one_job_for_a_vm(stage: Stage) -> None:
    first = move.ask(stage.vm, None, Actor.user("olga"))
    with pytest.raises(Busy) as busy:
        move.ask(stage.vm, None, Actor.user("olga"))
    assert busy.value.job == first
    assert first.lock_key == f"vm:{stage.vm.uuid}"


def test_what_changed_between_the_click_and_the_job_counts(stage: Stage) -> None:
    job = move.ask(stage.vm, None, Actor.user("olga"))
    stage.target = dataclasses.replace(stage.target, taken=frozenset({IMAGE}))
    work.perform(job.pk, move.move)
    job.refresh_from_db()
    assert job.state == State.FAILED
    assert f"{IMAGE} exists already on beta" in job.sentence
    assert stage.beta.did == []


def test_a_file_that_appears_in_the_last_moment_stays(stage: Stage) -> None:
    stage.beta.files[IMAGE] = "somebody else's"
    job = done(stage)
    assert job.state == State.FAILED
    assert job.sentence.startswith("web runs on alpha as before. The move was aborted: ")
    assert stage.beta.files == {IMAGE: "somebody else's"}
    assert stage.alpha.runs


def test_a_refused_migration_leaves_nothing_behind(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrates(monkeypatch, lambda *_: SILENT)
    job = done(stage)
    assert job.state == State.FAILED
    assert job.sentence.startswith("web runs on alpha as before.")
    assert (stage.beta.files, stage.beta.domain, host_of(stage)) == ({}, None, "alpha")


def test_a_lost_answer_to_a_migration_that_worked_is_a_move(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def worked(source: Any, destination: Any) -> Exception:
        arrives(source, destination)
        return TimedOut("No answer.")

    migrates(monkeypatch, worked)
    job = done(stage)
    assert (job.state, host_of(stage)) == (State.DONE, "beta")
    assert stage.beta.runs


def test_a_silent_source_keeps_the_job_open_until_it_answers(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(source: Any, destination: Any) -> Exception:
        destination.domain = PAUSED
        source.fail_all(SILENT)
        return SILENT

    migrates(monkeypatch, cut)
    job = done(stage)
    assert job.state == State.FAILED
    assert "Its copy on beta stays paused" in job.sentence
    assert stage.beta.domain == PAUSED
    with pytest.raises(Refusal, match="not settled yet"):
        move.ask(stage.vm, None, Actor.user("olga"))
    now = timezone.now()
    assert settling.settle(now) == []
    stage.alpha.fails.clear()
    assert [row.job for row in settling.settle(now + timedelta(minutes=1))] == [job]
    job.refresh_from_db()
    assert job.sentence.startswith("web runs on alpha as before.")
    assert stage.beta.files == {}
    assert "undefine" in stage.beta.did
    assert move.ask(stage.vm, None, Actor.user("olga")).pk != job.pk


def test_a_cancelled_move_leaves_the_vm_where_it_was(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrates(monkeypatch, lambda *_: work.Cancelled())
    job = done(stage)
    assert job.state == State.CANCELLED
    assert (stage.alpha.runs, stage.beta.files) == (True, {})


@pytest.mark.parametrize(
    ("here", "there", "place"), [(RUNNING, None, "alpha"), (RUNNING, PAUSED, "alpha"),
                                 (None, PAUSED, "beta")]
)  # fmt: skip
def test_a_killed_worker_is_settled_by_the_hosts(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, here: int, there: int, place: str
) -> None:
    class Killed(BaseException):
        """As SIGKILL: nothing of the job's own is run after it."""

    def dies(source: Any, destination: Any) -> None:
        source.domain, destination.domain = here, there
        raise Killed

    migrates(monkeypatch, dies)
    job = move.ask(stage.vm, None, Actor.user("olga"))
    claimed = ledger.claim(job.pk, "w")
    assert claimed is not None
    with pytest.raises(Killed):
        move.move(work.Work(claimed))
    sentence = ledger.settle(Job.objects.get(pk=job.pk))
    assert f"on {place}" in sentence
    assert [end.name for end in (stage.alpha, stage.beta) if end.runs] == [place]
    assert host_of(stage) == place


def test_a_worker_killed_before_it_began_has_nothing_to_settle(stage: Stage) -> None:
    job = move.ask(stage.vm, None, Actor.user("olga"))
    assert "the VM is where it was" in ledger.settle(job)
    assert stage.beta.did == []


def test_progress_stays_below_the_end() -> None:
    progress = move_live.progress_of(
        JobStats(data_total=100, data_remaining=0, disk_remaining=0, memory_bps=7)
    )
    assert progress is not None
    assert (progress.percent, progress.phase) == (99, "copying memory")
    assert move_live.progress_of(None) is None
    assert move_live.progress_of(JobStats()) is None
