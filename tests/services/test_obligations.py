"""What ended jobs owe: paid in order, each once, hosts apart from each other."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar

import pytest
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from labpanel.adapters.errors import TimedOut, Unreachable
from labpanel.jobs import obligations, settling
from labpanel.jobs.models import Job, Obligation
from labpanel.jobs.obligations import DUTIES, Duty, StillOwed
from labpanel.jobs.states import State
from labpanel.lib.closed import Odd

_HERE = "tests.services.test_obligations"
HOSTS = (1, 2, 3)


class World:
    """What was asked, by host, and what is said to it. `left` is what still lies somewhere."""

    def __init__(self) -> None:
        self.silent: set[int] = set()
        self.hung: set[str] = set()
        self.refusing: set[str] = set()
        self.left: set[tuple[int, str]] = set()
        self.asked: list[tuple[int, str]] = []
        self.undone: Counter[tuple[int, str]] = Counter()
        self.too_early = False

    def undo(self, host: int, kind: str, name: str) -> str:
        self.asked.append((host, kind))
        if host in self.silent:
            raise Unreachable(f"host {host} does not answer.")
        if name in self.hung:
            raise TimedOut(f"{name} gave no answer in time.")
        if kind in self.refusing:
            raise StillOwed(f"{kind} must wait.")
        if (host, name) in self.left:
            self.left.discard((host, name))
            self.undone[host, name] += 1
        return f"{name} is gone"


world = World()


@dataclass(frozen=True, slots=True)
class First:
    KIND: ClassVar[str] = "first"
    host: int
    name: str

    def pay(self, job: Job) -> str:
        return world.undo(self.host, self.KIND, self.name)


@dataclass(frozen=True, slots=True)
class Then:
    """Only after a First of the same job."""

    KIND: ClassVar[str] = "then"
    host: int
    name: str

    def pay(self, job: Job) -> str:
        world.too_early |= job.obligations.filter(kind="first", paid_at=None).exists()
        return world.undo(self.host, self.KIND, self.name)


KINDS = {
    "first": Duty(f"{_HERE}.First", 0, longest=30),
    "then": Duty(f"{_HERE}.Then", 1, after=("first",)),
}


@contextmanager
def duties() -> Iterator[None]:
    """The two kinds of this file, and a world without trouble."""
    global world
    world = World()
    real = dict(DUTIES)
    DUTIES.update(KINDS)
    try:
        yield
    finally:
        DUTIES.clear()
        DUTIES.update(real)


@pytest.fixture(autouse=True)
def _duties(db: None) -> Iterator[None]:
    with duties():
        yield


def owing(*owed: First | Then, state: State = State.FAILED) -> Job:
    job: Job = Job.objects.create(kind="backup", title="Back up home", state=state)
    for one in owed:
        world.left.add((one.host, one.name))
        obligations.write(job, one)
    return job


def later(minutes: int) -> datetime:
    return timezone.now() + timedelta(minutes=minutes)


def test_every_kind_says_its_own_name_and_its_data_survives_the_row() -> None:
    for kind in set(DUTIES) - set(KINDS):
        assert kind == obligations.shape_of(kind).KIND
        assert set(DUTIES[kind].after) <= set(DUTIES)
    row = obligations.write(owing(), First(1, "a"))
    row.refresh_from_db()
    assert obligations.read(row) == First(1, "a")


def test_what_is_urgent_is_paid_first_and_the_rows_go() -> None:
    owing(Then(1, "b"), First(1, "a"))
    assert [row.kind for row in settling.settle(timezone.now())] == ["first", "then"]
    assert (world.left, Obligation.objects.count()) == (set(), 0)
    settling.settle(later(60))
    assert len(world.asked) == 2


def test_what_must_come_before_holds_back_what_follows_in_the_same_job_alone() -> None:
    owing(First(1, "a"), Then(1, "b"))
    owing(Then(1, "c"))
    world.refusing = {"first"}
    settling.settle(timezone.now())
    assert world.left == {(1, "a"), (1, "b")}
    world.refusing = set()
    settling.settle(later(10))
    assert world.left == set()


def test_a_silent_host_is_asked_once_a_turn_and_costs_the_others_nothing() -> None:
    owing(First(1, "a"), First(1, "b"), Then(1, "c"), First(2, "d"))
    world.silent = {1}
    settling.settle(timezone.now())
    assert Counter(host for host, _ in world.asked) == {1: 1, 2: 1}
    assert (2, "d") not in world.left
    world.silent = set()
    settling.settle(later(10))
    assert world.left == set()


def test_a_vm_that_hangs_holds_up_nothing_of_its_neighbours() -> None:
    owing(First(1, "hung"), First(1, "of the same job"))
    owing(First(1, "neighbour"), Then(1, "b"))
    world.hung = {"hung"}
    settling.settle(timezone.now())
    assert world.left == {(1, "hung"), (1, "of the same job")}
    assert len(world.asked) == 3  # a hung VM costs one deadline
    world.hung = set()
    settling.settle(later(10))
    assert world.left == set()


def test_what_a_job_noted_and_cannot_be_read_keeps_its_row(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def odd(self: First, job: Job) -> str:
        raise Odd("its beside is not a list")

    job = owing(First(1, "a"))
    with monkeypatch.context() as patched:
        patched.setattr(First, "pay", odd)
        settling.settle(timezone.now())
        assert job.obligations.get().paid_at is None
    settling.settle(later(10))
    assert world.left == set()


def test_each_try_waits_longer_up_to_the_longest_of_its_kind() -> None:
    now = timezone.now()
    owing(First(1, "a"))
    world.silent = {1}
    tried = []
    for second in range(0, 200, 5):
        before = len(world.asked)
        settling.settle(now + timedelta(seconds=second))
        tried += [second] * (len(world.asked) - before)
    assert tried == [0, 15, 45, 75, 105, 135, 165, 195]


def test_a_clock_that_was_set_back_holds_nothing_up() -> None:
    owing(First(1, "a"))
    world.silent = {1}
    settling.settle(later(600))
    world.silent = set()
    settling.settle(timezone.now())
    assert world.left == set()


def test_what_a_job_that_has_not_ended_owes_is_left_to_it() -> None:
    job = owing(First(1, "a"), state=State.RUNNING)
    assert settling.settle(timezone.now()) == []
    obligations.pay_all(job)
    assert world.left == set()
    assert job.obligations.get().sentence == "a is gone"  # its settling reads that


def test_all_that_a_dead_worker_owes_is_tried_and_the_first_trouble_is_raised() -> None:
    job = owing(First(1, "a"), First(2, "b"), state=State.RUNNING)
    world.silent = {1}
    with pytest.raises(Unreachable, match="host 1"):
        obligations.pay_all(job)
    assert world.left == {(1, "a")}


def test_a_host_that_gave_no_answer_to_the_reaper_is_asked_once() -> None:
    job = owing(First(1, "a"), First(1, "b"), First(2, "c"), state=State.RUNNING)
    world.silent = {1}
    with pytest.raises(Unreachable):
        obligations.pay_all(job)
    assert [host for host, _ in world.asked] == [1, 2]


def test_a_bug_in_one_kind_keeps_nothing_else_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: First, job: Job) -> str:
        raise ZeroDivisionError

    owing(First(1, "a"), Then(2, "b"))
    owing(Then(1, "c"))
    monkeypatch.setattr(First, "pay", broken)
    settling.settle(timezone.now())
    assert world.left == {(1, "a"), (2, "b")}


def test_what_lay_on_a_host_that_was_removed_is_not_owed_any_more() -> None:
    from backups.services.backup.owed import AsideFolder

    obligations.write(owing(), AsideFolder(4711, "/data/.lp-aside"))
    settling.settle(timezone.now())
    assert not Obligation.objects.exists()


@pytest.mark.parametrize(
    ("kind", "data", "words"),
    [
        ("of a later panel", {"host": 1}, "does not know this kind"),
        ("first", {"host": 1, "name": [1], "when": "now"}, "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_kept_and_keeps_nothing_else_waiting(
    kind: str, data: dict[str, Any], words: str, caplog: pytest.LogCaptureFixture
) -> None:
    job = owing(First(1, "a"))
    strange = Obligation.objects.create(job=job, host=1, kind=kind, data=data)
    owing(Then(1, "b"), First(2, "c"))
    for minutes in (0, 10, 20):
        settling.settle(later(minutes))
    assert world.left == set()
    assert Obligation.objects.get() == strange
    strange.refresh_from_db()
    assert words in strange.sentence
    assert [words in one.message for one in caplog.records].count(True) == 1


def test_what_cannot_be_read_does_not_hold_a_dead_workers_job() -> None:
    job = owing(First(1, "a"), state=State.RUNNING)
    Obligation.objects.create(job=job, host=1, kind="of a later panel", data={})
    obligations.pay_all(job)
    assert world.left == set()
    assert job.obligations.get(paid_at=None).kind == "of a later panel"


def test_one_host_is_paid_by_one_turn_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    inner: list[Any] = []

    def pay(self: First, job: Job) -> str:
        inner.append(settling.settle_host(1, later(60)))
        return ""

    owing(First(1, "a"))
    monkeypatch.setattr(First, "pay", pay)
    settling.settle(timezone.now())
    assert inner == [[]]


class TestWhateverHappens(TestCase):
    """Hosts that come and go, jobs with anything to pay: paid in order, and exactly once."""

    @settings(max_examples=40, deadline=None)
    @given(st.data())
    def test_all_is_paid_once_and_in_order(self, data: st.DataObject) -> None:
        with duties():
            some = st.builds(
                lambda kind, host: (kind, host),
                st.sampled_from((First, Then)),
                st.sampled_from(HOSTS),
            )
            plans = data.draw(st.lists(st.lists(some, max_size=4), min_size=1, max_size=3))
            number, owed = 0, set()
            for plan in plans:
                made = []
                for kind, host in plan:
                    number += 1
                    made.append(kind(host, f"{kind.KIND}-{number}"))
                owing(*made)
                owed |= {(one.host, one.name) for one in made}
            for turn in range(data.draw(st.integers(0, 6))):
                world.silent = data.draw(st.sets(st.sampled_from(HOSTS)))
                world.refusing = data.draw(st.sets(st.sampled_from(("first", "then"))))
                self.turn(turn)
            world.silent, world.refusing = set(), set()
            for turn in (50, 60):  # what waited for another host's goes with the second
                self.turn(turn)
            assert world.left == set()
            assert world.undone == Counter(owed)
            assert not Obligation.objects.exists()

    def turn(self, number: int) -> None:
        world.asked.clear()
        settling.settle(later(number * 10))  # never raises what a host says
        for host in HOSTS:
            kinds = [kind for where, kind in world.asked if where == host]
            assert kinds == sorted(kinds)
            assert host not in world.silent or len(kinds) <= 1
        assert not world.too_early
