"""A worker whose threads hang is given up; one that is merely busy is not."""

import threading
from dataclasses import dataclass
from typing import Any

import pytest
from celery.concurrency.thread import TaskPool
from celery.worker import state

from hosts import tasks
from hosts.models import Host
from hosts.services.samples import sample
from labpanel.adapters.looks import canary, old_blocks
from labpanel.adapters.ssh.machine import MASTER_SECONDS
from labpanel.celery import BUDGETS, app
from labpanel.home.selectors.late_tasks import late_sentences
from labpanel.lib.durations import span
from labpanel.supervise import late_tasks, pulse, signs
from labpanel.supervise.overdue import LIMITS, Late, Overdue, RunningTask
from tests.fakes.turn_cache import FakeTurnCache

DEAD_SECONDS = 2  # Machine._drop_dead_master
BUSY_SECONDS = 20  # settings.DATABASES: how long SQLite waits for a lock


@dataclass(frozen=True)
class Request:
    id: str
    name: str
    args: tuple[int, ...] = ()


@dataclass(frozen=True)
class Worker:
    concurrency: int


@pytest.fixture
def marked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    monkeypatch.setattr(signs, "mark", found.append)
    return found


def busy(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    requests = {Request(name, f"task {name}") for name in names}
    monkeypatch.setattr(state, "active_requests", requests)


def test_only_what_is_past_the_limit_is_named_and_a_new_one_begins_anew() -> None:
    late, probe, sample = Overdue(300), RunningTask("probe", 7), RunningTask("sample")
    assert late.look({"a": probe}, 0) == []
    assert late.look({"a": probe, "b": sample}, 301) == [Late("probe", 7, 301)]
    assert late.look({"b": sample}, 600) == []
    assert late.look({"a": probe}, 700) == []


def test_jobs_may_take_days() -> None:
    late = Overdue(LIMITS.get("long"))
    late.look({"a": RunningTask("backup", 1)}, 0)
    assert late.look({"a": RunningTask("backup", 1)}, 10**6) == []


def test_a_task_with_a_budget_of_its_own_is_held_to_it() -> None:
    late, both = (
        Overdue(300, {"sample": 60}),
        {"a": RunningTask("probe"), "b": RunningTask("sample")},
    )
    assert late.look(both, 0) == late.look(both, 60) == []
    assert late.look(both, 61) == [Late("sample", None, 61)]
    assert late.look(both, 301) == [Late("probe", None, 301), Late("sample", None, 301)]


@pytest.mark.parametrize(
    ("task", "deadline"),
    [
        ("hosts.tasks.sample_machine", sample.DEADLINE),
        ("hosts.tasks.check_host_health", canary.DEADLINE),
        ("hosts.tasks.check_host_old_blocks", old_blocks.DEADLINE),
    ],
)
def test_a_budget_is_more_than_all_deadlines_of_its_task(task: str, deadline: float) -> None:
    assert hasattr(tasks, task.rpartition(".")[2])
    waits = 2 * MASTER_SECONDS + deadline + DEAD_SECONDS + 3 * BUSY_SECONDS
    assert waits <= BUDGETS[task] < LIMITS["quick"]


def test_every_budget_is_added_up_above() -> None:
    assert len(BUDGETS) == 3


def test_a_full_pool_that_works_gives_its_sign_and_one_that_hangs_does_not(
    monkeypatch: pytest.MonkeyPatch, marked: list[str]
) -> None:
    late, worker, shelf = Overdue(0), Worker(2), FakeTurnCache()
    busy(monkeypatch, "a", "b")
    late.look({"a": RunningTask("task a")}, -1)
    monkeypatch.setattr("labpanel.supervise.overdue.time.monotonic", lambda: 0.0)
    pulse.mark_if_full(worker, "quick", late, shelf)
    assert marked == []
    assert late_tasks.read(shelf, "quick") == [Late("task a", None, 1)]
    pulse.mark_if_full(worker, "quick", Overdue(300), shelf)
    assert marked == ["quick"]


@pytest.mark.django_db
def test_what_hangs_is_said_with_what_it_is_for(monkeypatch: pytest.MonkeyPatch) -> None:
    alpha, shelf = Host.objects.create(name="alpha", target="root@alpha"), FakeTurnCache()
    found = {
        Request("a", "hosts.tasks.probe_host", (alpha.pk,)),
        Request("b", "hosts.tasks.power", (alpha.pk,)),
        Request("c", "hosts.tasks.roll_up"),
    }
    monkeypatch.setattr(state, "active_requests", found)
    late = Overdue(300)
    monkeypatch.setattr("labpanel.supervise.overdue.time.monotonic", lambda: 0.0)
    pulse.mark_if_full(Worker(12), "quick", late, shelf)
    assert late_sentences(shelf) == []
    monkeypatch.setattr("labpanel.supervise.overdue.time.monotonic", lambda: 420.0)
    pulse.mark_if_full(Worker(12), "quick", late, shelf)
    said = late_sentences(shelf)
    asked = ("probe_host for alpha", f"power for job {alpha.pk}", "roll_up")
    for what in asked:
        start = f"The task hosts.tasks.{what} has been running for {span(420)}; the worker is "
        assert [each.startswith(start) for each in said].count(True) == 1
    assert len(said) == len(asked)


def test_what_another_version_wrote_is_not_shown() -> None:
    shelf = FakeTurnCache()
    for value in (b'["probe"]', b"{", b'[{"task": "probe"}]'):
        shelf.put("late-tasks:quick", value, seconds=30)
        assert late_tasks.read(shelf, "quick") == []


def test_a_host_that_never_answers_holds_one_thread_alone() -> None:
    entered, never, asked = threading.Event(), threading.Event(), []

    @app.task(name="tests.supervise.ask")
    def ask(host: int) -> None:
        asked.append(host)
        if host == 1:
            entered.set()
            never.wait(20)

    hung = threading.Thread(target=ask, args=(1,))
    hung.start()
    try:
        assert entered.wait(20)
        ask(1)
        ask(2)
        assert asked == [1, 2]
    finally:
        never.set()
        hung.join(20)
        app.tasks.unregister("tests.supervise.ask")
    ask(1)
    assert asked == [1, 2, 1]


def test_one_task_that_never_ends_keeps_no_other_from_its_thread() -> None:
    """A host that never answers, in celery's own pool."""
    pool, never, done = TaskPool(2), threading.Event(), threading.Event()
    pool.on_start()

    def run(target: Any) -> None:
        pool.on_apply(lambda *_, **__: target(), (), {}, lambda _: None, lambda *_: None)

    try:
        run(never.wait)
        run(done.set)
        assert done.wait(20)
    finally:
        never.set()
        pool.on_stop()
