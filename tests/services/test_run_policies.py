"""Turns of the policies: what is due is asked for once, whatever happens in between."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from backups.models import Generation, Policy, PolicyRun, Store
from backups.rules.policies import turns
from backups.selectors.policies import dues as owing
from backups.services.backup.back_up import ask_for_backup
from backups.services.policies import run_policies as running
from backups.services.policies.run_policies import run_policies
from backups.services.policies.save_policy import save_policy
from hosts.models import VM, Host
from labpanel.jobs import ledger
from labpanel.jobs.models import Job
from labpanel.jobs.states import State
from labpanel.lib.hints import BITMAP, DEEP, FULL
from tests.pages import factory

pytestmark = pytest.mark.django_db
MINUTE, DAY, WEEK = timedelta(minutes=1), timedelta(days=1), timedelta(days=7)
MADE = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)  # a Monday
SUNDAY = datetime(2026, 11, 8, 2, 0, tzinfo=UTC)


class Shop:
    """Two hosts with a store each, and a weekly policy to both since MADE."""

    def __init__(self) -> None:
        self.alpha, self.beta = factory.make_host("alpha"), factory.make_host("beta")
        self.far, self.near = factory.make_store(self.beta), factory.make_store(self.alpha, "near")
        self.home = self.vm("home")
        self.policy = save_policy(
            None,
            {
                "name": "weekly",
                "is_default": True,
                "cron": "0 2 * * 0",
                "places": ["far", "near"],
                "bytes_per_second": 1 << 20,
                "freeze": False,
            },
        )
        Policy.objects.update(since=MADE)
        Store.objects.update(added_at=MADE)

    def vm(self, name: str, host: Host | None = None) -> VM:
        return factory.make_vm(host or self.alpha, name, first_seen_at=MADE)

    def turn(self, now: datetime) -> list[Job]:
        """A turn at which every host has just answered."""
        Host.objects.update(seen_at=now, libvirt_seen_at=now)
        return run_policies(now)

    def finish(self, job: Job, at: datetime, state: State = State.DONE, **disk: Any) -> None:
        """The job ends; when it is done there is a copy."""
        ledger.finish(job.pk, state, "It ended.", now=at)
        if state == State.DONE:
            vm = VM.objects.get(uuid=job.parameters["vm_uuid"])
            store = Store.objects.get(pk=job.parameters["store"])
            made = factory.make_generation(vm, store, timedelta(), "vda", taken_at=at)
            made.disks.update(**{"mode": FULL, **disk})

    def all_done(self, now: datetime) -> list[str]:
        """Turns and jobs until nothing is due any more; what was done."""
        titles = []
        while begun := self.turn(now):
            for job in begun:
                self.finish(job, now)
                titles.append(job.title)
        return titles


@pytest.fixture
def shop(db: None) -> Shop:
    return Shop()


def test_a_vm_without_a_copy_gets_its_first_one_at_once(shop: Shop) -> None:
    assert shop.all_done(MADE + MINUTE) == ["Back up home to far", "Back up home to near"]
    assert shop.turn(MADE + DAY) == []
    assert list(PolicyRun.objects.values_list("due_at", "tries")) == [(MADE, 1), (MADE, 1)]


def test_a_job_carries_what_the_policy_asks_for(shop: Shop) -> None:
    (job,) = shop.turn(MADE + MINUTE)
    assert job.asked_by == "policy weekly"
    assert job.parameters == {
        "vm_uuid": str(shop.home.uuid),
        "store": shop.far.pk,
        "policy": "weekly",
        "deep": False,
        "freeze": False,
        "bytes_per_second": 1 << 20,
    }


def test_each_due_time_is_run_once(shop: Shop) -> None:
    shop.all_done(MADE + MINUTE)
    assert shop.turn(SUNDAY - MINUTE) == []
    assert len(shop.all_done(SUNDAY)) == 2
    assert shop.turn(SUNDAY + MINUTE) == []
    assert shop.turn(SUNDAY + 6 * DAY) == []
    assert len(shop.all_done(SUNDAY + WEEK)) == 2


def test_weeks_without_a_panel_are_caught_up_by_one_run(shop: Shop) -> None:
    shop.all_done(MADE + MINUTE)
    assert len(shop.all_done(SUNDAY + 5 * WEEK + 3 * DAY)) == 2
    newest = PolicyRun.objects.order_by("-due_at").first()
    assert newest is not None
    assert newest.due_at == SUNDAY + 5 * WEEK
    assert shop.turn(SUNDAY + 5 * WEEK + 4 * DAY) == []


def test_two_turns_at_once_begin_one_job(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both had looked before either wrote."""
    Host.objects.update(seen_at=MADE, libvirt_seen_at=MADE)
    seen = owing.dues(MADE + MINUTE)
    monkeypatch.setattr(running, "dues", lambda _: list(seen))
    (job,) = run_policies(MADE + MINUTE)
    assert run_policies(MADE + MINUTE) == []
    # Even after the job has ended and left the host and the store free.
    shop.finish(job, MADE + MINUTE)
    assert [each.title for each in run_policies(MADE + MINUTE)] == ["Back up home to near"]
    assert PolicyRun.objects.count() == Job.objects.count() == 2


def test_a_turn_that_dies_leaves_neither_run_nor_job(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: Any, **__: Any) -> None:
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(PolicyRun, "save", lambda *_, **__: die())
        with pytest.raises(SystemExit):
            shop.turn(MADE + MINUTE)
    assert not Job.objects.exists()
    assert len(shop.turn(MADE + MINUTE)) == 1


def test_one_backup_at_a_time_from_a_host_and_into_a_store(shop: Shop) -> None:
    shop.vm("mail")
    shop.vm("web", shop.beta)
    begun = shop.turn(MADE + MINUTE)
    # home leaves alpha for beta's store; what leaves beta for alpha's store disturbs neither.
    assert [job.title for job in begun] == ["Back up home to far", "Back up web to near"]
    assert shop.turn(MADE + 2 * MINUTE) == []
    for job in begun:
        shop.finish(job, MADE + 2 * MINUTE)
    assert len(shop.turn(MADE + 3 * MINUTE)) == 2


def test_a_vm_that_is_being_worked_on_is_waited_for(shop: Shop) -> None:
    move = ledger.open_job("move", "Move home", lock_key=f"vm:{shop.home.uuid}")
    assert shop.turn(MADE + MINUTE) == []
    assert not PolicyRun.objects.exists()
    ledger.finish(move.pk, State.DONE, "Moved.")
    assert len(shop.turn(MADE + 2 * MINUTE)) == 1


def test_a_backup_by_hand_counts_for_the_limits(shop: Shop) -> None:
    ask_for_backup(shop.vm("mail"), shop.near)
    assert shop.turn(MADE + MINUTE) == []


def test_failures_are_tried_again_with_growing_waits_and_given_up(shop: Shop) -> None:
    shop.all_done(MADE + MINUTE)
    Store.objects.filter(pk=shop.near.pk).delete()
    tries = []
    for minute in range(6 * 60):
        for job in shop.turn(SUNDAY + minute * MINUTE):
            tries.append(minute * MINUTE)
            shop.finish(job, SUNDAY + minute * MINUTE, State.FAILED)
    assert len(tries) == turns.MOST_TRIES
    assert [late - early for early, late in pairwise(tries)] == list(turns.WAITS)
    assert shop.turn(SUNDAY + 6 * DAY) == []
    # The next due time begins afresh.
    assert len(shop.turn(SUNDAY + WEEK)) == 1


def test_a_cancelled_run_is_not_forced_upon_its_owner(shop: Shop) -> None:
    (job,) = shop.turn(MADE + MINUTE)
    ledger.ask_to_cancel(job)
    assert [each.title for each in shop.turn(MADE + DAY)] == ["Back up home to near"]


def test_what_is_away_is_tried_when_it_is_back(shop: Shop) -> None:
    shop.all_done(MADE + MINUTE)
    Host.objects.update(seen_at=SUNDAY, libvirt_seen_at=SUNDAY)
    Host.objects.filter(name="beta").update(failing_since=SUNDAY - MINUTE, error="No route.")
    begun = run_policies(SUNDAY)
    assert [job.title for job in begun] == ["Back up home to near"]
    shop.finish(begun[0], SUNDAY)
    waiting = next(due for due in owing.dues(SUNDAY) if due.place.store == shop.far)
    assert "beta with the store far does not answer: No route." in waiting.away
    Host.objects.update(failing_since=None)
    assert [job.title for job in shop.turn(SUNDAY + 3 * DAY)] == ["Back up home to far"]
    assert Job.objects.filter(state=State.FAILED).count() == 0


def test_a_store_that_fails_costs_no_try(shop: Shop) -> None:
    shop.all_done(MADE + MINUTE)
    Store.objects.filter(pk=shop.far.pk).update(error="It is full.", looked_at=SUNDAY - MINUTE)
    assert [job.title for job in shop.turn(SUNDAY)] == ["Back up home to near"]


def test_vms_that_are_gone_and_policies_that_are_off_are_left_alone(shop: Shop) -> None:
    VM.objects.update(missing_since=MADE)
    assert shop.turn(MADE + MINUTE) == []
    VM.objects.update(missing_since=None)
    save_policy(shop.policy, {"enabled": False})
    assert shop.turn(MADE + MINUTE) == []


def test_a_changed_calendar_does_not_catch_up_what_it_never_asked_for(shop: Shop) -> None:
    shop.all_done(MADE + MINUTE)
    save_policy(shop.policy, {"cron": "0 2 * * 1"})
    Policy.objects.update(since=MADE + 2 * DAY)
    assert shop.turn(MADE + 2 * DAY + MINUTE) == []
    assert len(shop.turn(SUNDAY + DAY)) == 1


@pytest.mark.parametrize(
    ("copies", "deep"),
    [
        ([(30, FULL), (20, BITMAP)], True),
        ([(13, FULL), (1, BITMAP)], False),
        ([(30, FULL), (10, DEEP), (3, BITMAP)], False),
        ([(5, BITMAP)], True),
    ],
)
def test_everything_is_read_every_deep_days(
    shop: Shop, copies: list[tuple[int, str]], *, deep: bool
) -> None:
    for days, mode in copies:
        made = factory.make_generation(
            shop.home, shop.far, timedelta(), "vda", taken_at=SUNDAY - days * DAY
        )
        made.disks.update(mode=mode)
    job = next(job for job in shop.turn(SUNDAY) if job.parameters["store"] == shop.far.pk)
    assert job.parameters["deep"] is deep


def test_a_damaged_copy_does_not_count_as_read(shop: Shop) -> None:
    made = factory.make_generation(shop.home, shop.far, timedelta(), "vda", taken_at=SUNDAY - DAY)
    Generation.objects.filter(pk=made.pk).update(state=Generation.State.DAMAGED)
    job = next(job for job in shop.turn(SUNDAY) if job.parameters["store"] == shop.far.pk)
    assert job.parameters["deep"] is False


def test_queries_do_not_grow_with_the_number_of_vms(
    shop: Shop, django_assert_num_queries: Any
) -> None:
    Host.objects.update(seen_at=MADE, libvirt_seen_at=MADE)
    with django_assert_num_queries(10):
        owing.dues(MADE + MINUTE)
    for number in range(12):
        shop.vm(f"vm{number}")
    with django_assert_num_queries(10):
        assert len(owing.dues(MADE + MINUTE)) == 26
