"""The ledger: one worker for a job, one job for a lock, one end, and no job forgotten."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connections, transaction
from django.utils import timezone
from kombu.exceptions import OperationalError

from backups.services.index.channels import Channel
from backups.services.index.forget_pruned import Dropping
from labpanel.adapters.errors import Unreachable
from labpanel.celery import app
from labpanel.jobs import beat, ledger, reaper, work
from labpanel.jobs.models import Job
from labpanel.jobs.states import State
from labpanel.jobs.work import Failed, Work
from labpanel.lib.shapes import Progress

pytestmark = pytest.mark.django_db
SILENT = timedelta(seconds=reaper.SILENT_SECONDS + 1)


def a_job(**fields: Any) -> Job:
    return ledger.open_job("backup", "Back up home to far", **{"lock_key": "vm:1", **fields})


def settled_by(monkeypatch: pytest.MonkeyPatch, settle: Callable[[Job], str]) -> None:
    monkeypatch.setattr(ledger, "settle", settle)


def dead(job: Job, worker: str = "gone") -> Job:
    """The job as a worker left it that was killed a while ago."""
    long_ago = timezone.now() - SILENT
    ledger.claim(job.pk, worker)
    Job.objects.filter(pk=job.pk).update(beat_at=long_ago)
    return Job.objects.get(pk=job.pk)


def test_a_job_is_sent_on_commit_and_not_before(
    broker: list[Any], django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        job = a_job()
        assert broker == []
    assert broker == [("backups.tasks.back_up", [job.pk])]


def test_a_second_job_for_the_same_thing_is_told_of_the_first() -> None:
    first = a_job()
    with pytest.raises(ledger.Busy) as refused:
        ledger.open_job("move", "Move home", lock_key="vm:1")
    assert refused.value.job == first
    assert "Back up home to far" in refused.value.sentence


def test_jobs_without_a_lock_do_not_meet() -> None:
    assert a_job(lock_key="") != a_job(lock_key="")


def test_the_lock_is_free_again_when_the_job_ended() -> None:
    first = a_job()
    ledger.finish(first.pk, State.FAILED, "It failed.")
    assert a_job().pk != first.pk


def test_a_broker_that_is_away_loses_no_job(
    monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise OperationalError("connection refused")

    with monkeypatch.context() as broken:
        broken.setattr(app, "send_task", away)
        with django_capture_on_commit_callbacks(execute=True):
            job = a_job()
    sent: list[int] = []
    monkeypatch.setattr(app, "send_task", lambda _name, args, **_: sent.extend(args))
    reaper.reap(timezone.now() + timedelta(seconds=5))
    assert sent == []  # not yet: it may still lie in the queue
    later = timezone.now() + timedelta(seconds=reaper.UNSENT_SECONDS + 1)
    reaper.reap(later)
    assert sent == [job.pk]
    reaper.reap(timezone.now() + timedelta(seconds=5))
    assert sent == [job.pk]  # a busy queue is not filled with copies


@pytest.mark.django_db(transaction=True)
def test_of_many_workers_one_claims() -> None:
    job = a_job()
    won: list[str] = []
    start = threading.Barrier(6)

    def claim(worker: str) -> None:
        start.wait()
        if ledger.claim(job.pk, worker):
            won.append(worker)
        connections.close_all()

    threads = [threading.Thread(target=claim, args=(f"w{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert Job.objects.get().worker == won[0]


@pytest.mark.django_db(transaction=True)
class TestPerform:
    """Claimed, done under a heartbeat, ended once."""

    def test_done(self) -> None:
        job = a_job()
        work.perform(job.pk, lambda _: {"generation": "g1", "sentence": "All is saved."})
        job.refresh_from_db()
        assert (job.state, job.progress, job.sentence) == (State.DONE, 100, "All is saved.")
        assert job.result == {"generation": "g1"}
        assert job.ended_at is not None
        assert [line.text for line in job.lines.all()] == ["All is saved."]

    def test_an_expected_refusal_is_failed(self) -> None:
        def do(_: Work) -> dict[str, Any]:
            raise Unreachable("beta does not answer.", "ssh: no route")

        job = a_job()
        work.perform(job.pk, do)
        job.refresh_from_db()
        assert (job.state, job.sentence) == (State.FAILED, "beta does not answer.")
        assert job.detail == "ssh: no route"

    def test_a_bug_is_errored_with_its_traceback(self) -> None:
        def do(_: Work) -> dict[str, Any]:
            raise ZeroDivisionError

        job = a_job()
        work.perform(job.pk, do)
        job.refresh_from_db()
        assert job.state == State.ERRORED
        assert "ZeroDivisionError" in job.detail
        assert "ZeroDivisionError" not in job.sentence

    def test_a_second_message_for_the_same_job_does_nothing(self) -> None:
        times: list[int] = []

        def do(_: Work) -> dict[str, Any]:
            times.append(1)
            return {}

        job = a_job()
        for _ in range(2):
            work.perform(job.pk, do)
        assert times == [1]

    def test_cancelled_at_the_next_step(self) -> None:
        def do(this: Work) -> dict[str, Any]:
            this.check()
            assert ledger.ask_to_cancel(Job.objects.get(pk=job.pk))
            this.check()
            raise AssertionError("the step after cancelling was made")

        job = a_job()
        work.perform(job.pk, do)
        job.refresh_from_db()
        assert job.state == State.CANCELLED

    def test_progress_stays_below_a_hundred_until_it_is_done(self) -> None:
        def do(this: Work) -> dict[str, Any]:
            this.progress(Progress(100, 100, 5.0, "copying"))
            job.refresh_from_db()
            assert (job.progress, job.phase, job.bytes_per_second) == (99, "copying", 5.0)
            return {}

        job = a_job()
        work.perform(job.pk, do)
        job.refresh_from_db()
        assert (job.progress, job.bytes_per_second) == (100, None)

    def test_a_worker_that_was_given_up_can_neither_step_nor_end(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settled_by(monkeypatch, lambda _: "Nothing was begun.")
        refused: list[int] = []

        def do(this: Work) -> dict[str, Any]:
            dead_now = timezone.now() - SILENT
            Job.objects.filter(pk=job.pk).update(beat_at=dead_now)
            assert reaper.reap(timezone.now()) == [Job.objects.get(pk=job.pk)]
            this.progress(Progress(5, 10))
            for step in (
                this.check,
                lambda: this.note(Dropping(1, ("x",))),
                lambda: this.owe(Channel(None)),
            ):
                with pytest.raises(Failed):
                    step()
                refused.append(1)
            return {"sentence": "I was first!"}

        job = a_job()
        work.perform(job.pk, do)
        job.refresh_from_db()
        assert (job.state, job.sentence) == (State.LOST, "Nothing was begun.")
        assert (job.progress, job.state_data, job.result) == (0, {}, None)
        assert not job.obligations.exists()
        assert len(refused) == 3

    def test_the_beat_goes_on_when_the_database_was_busy_once(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(beat, "BEAT_SECONDS", 0.05)
        real, calls = timezone.now, []

        def now() -> Any:
            calls.append(1)
            if len(calls) == 1:
                raise DatabaseError("database is locked")
            return real()

        job = a_job()
        ledger.claim(job.pk, "me")
        Job.objects.filter(pk=job.pk).update(beat_at=real() - SILENT)
        monkeypatch.setattr(timezone, "now", now)
        with beat.beating(job.pk, "me"):
            until = time.monotonic() + 20
            while len(calls) < 3 and time.monotonic() < until:
                time.sleep(0.02)
        job.refresh_from_db()
        assert job.beat_at is not None
        assert job.beat_at > real() - SILENT


def test_cancelling_a_waiting_job_ends_it(topics: list[str]) -> None:
    job = a_job()
    assert ledger.ask_to_cancel(job)
    job.refresh_from_db()
    assert job.state == State.CANCELLED
    assert job.ended_at is not None
    assert f"job:{job.pk}" in topics
    assert ledger.claim(job.pk, "late") is None
    assert not ledger.ask_to_cancel(job)


def test_only_the_holder_ends_a_job() -> None:
    job = a_job()
    ledger.claim(job.pk, "one")
    assert not ledger.finish(job.pk, State.DONE, "Done.", worker="two")
    assert ledger.finish(job.pk, State.DONE, "Done.", worker="one")
    assert not ledger.finish(job.pk, State.FAILED, "No.", worker="one")


def test_a_beating_job_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    settled_by(monkeypatch, lambda _: "no")
    ledger.claim(a_job().pk, "alive")
    assert reaper.reap(timezone.now()) == []


@pytest.mark.django_db(transaction=True)
class TestReaping:
    """A job whose worker died is settled once, by what the hosts say."""

    def test_a_dead_workers_job_is_settled(self, monkeypatch: pytest.MonkeyPatch) -> None:
        seen: list[Job] = []

        def settle(job: Job) -> str:
            seen.append(job)
            return "The VM was not touched."

        settled_by(monkeypatch, settle)
        job = dead(a_job())
        reaper.reap(timezone.now())
        job.refresh_from_db()
        assert (job.state, job.sentence) == (State.LOST, "The VM was not touched.")
        assert seen == [job]

    def test_a_host_that_does_not_answer_keeps_the_lock(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def silent(_: Job) -> str:
            raise Unreachable("beta does not answer.")

        settled_by(monkeypatch, silent)
        job = dead(a_job())
        for turn in range(3):
            reaper.reap(timezone.now() + SILENT * turn)
        job.refresh_from_db()
        assert job.state == State.RUNNING
        with pytest.raises(ledger.Busy):
            a_job()
        told = [line.text for line in job.lines.all()]
        assert told == ["Its worker died; settling waits: beta does not answer."]
        settled_by(monkeypatch, lambda _: "It was not touched.")
        reaper.reap(timezone.now() + SILENT * 4)
        job.refresh_from_db()
        assert job.state == State.LOST

    def test_a_bug_in_settling_does_not_keep_others_waiting(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def settle(job: Job) -> str:
            if job.lock_key == "vm:1":
                raise KeyError("host")
            return "Settled."

        settled_by(monkeypatch, settle)
        broken, fine = dead(a_job()), dead(a_job(lock_key="vm:2"))
        reaper.reap(timezone.now())
        broken.refresh_from_db()
        fine.refresh_from_db()
        assert (broken.state, fine.state) == (State.ERRORED, State.LOST)
        assert "KeyError" in broken.detail

    def test_a_long_settling_is_not_begun_twice(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(beat, "BEAT_SECONDS", 0.05)
        entered, leave = threading.Event(), threading.Event()
        times: list[int] = []

        def slow(_: Job) -> str:
            times.append(1)
            entered.set()
            assert leave.wait(20)
            return "Settled."

        settled_by(monkeypatch, slow)
        job = dead(a_job())
        taken_at = timezone.now()

        def first() -> None:
            reaper.reap(taken_at)
            connections.close_all()

        thread = threading.Thread(target=first)
        thread.start()
        assert entered.wait(20)
        until = time.monotonic() + 20
        while time.monotonic() < until:  # until the reaper's own beat was seen
            job.refresh_from_db()
            if job.beat_at and job.beat_at > taken_at:
                break
            time.sleep(0.02)
        assert job.beat_at is not None
        reaper.reap(job.beat_at + timedelta(seconds=reaper.SILENT_SECONDS - 1))
        leave.set()
        thread.join(20)
        assert times == [1]
        job.refresh_from_db()
        assert (job.state, job.sentence) == (State.LOST, "Settled.")


def test_an_outer_transaction_that_fails_leaves_no_job(broker: list[Any]) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        a_job()
        raise ZeroDivisionError
    assert not Job.objects.exists()
    assert broker == []
