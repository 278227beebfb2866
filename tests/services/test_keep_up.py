"""Copies are read back and booted as often as policies ask, one such job in a store."""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
import time_machine

from backups.models import Generation, Rehearsal, Store
from backups.selectors.stores.store_traffic import traffic
from backups.services.backup.back_up import ask_for_backup
from backups.services.policies.save_policy import save_policy
from backups.services.policies.schedule_proofs import keep_up
from hosts.models import VM, Host
from labpanel.jobs import ledger
from labpanel.jobs.models import Job
from labpanel.jobs.states import State
from tests.pages import factory

pytestmark = pytest.mark.django_db
NOW = datetime.now(UTC).replace(hour=3)
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def at_now() -> Iterator[None]:
    """Jobs are dated by the clock: a long run of tests must not make them later than NOW."""
    with time_machine.travel(NOW):
        yield


class Shop:
    """home on alpha, with a store there and one on beta."""

    def __init__(self) -> None:
        alpha, beta = factory.make_host("alpha"), factory.make_host("beta")
        self.far, self.near = factory.make_store(beta), factory.make_store(alpha, "near")
        self.home = factory.make_vm(alpha, "home")
        self.policy = save_policy(
            None, {"name": "p", "is_default": True, "cron": "0 2 * * 0", "places": ["far"]}
        )

    def copy(self, store: Store, age: int, **fields: Any) -> Generation:
        taken = {"taken_at": NOW - age * DAY, "hashed_at": NOW, **fields}
        return factory.make_generation(self.home, store, timedelta(), "vda", **taken)

    def turn(self, now: datetime = NOW) -> list[tuple[str, str]]:
        """What was begun where hosts have just answered; it all ends at once, without a proof."""
        Host.objects.update(seen_at=now)
        begun = keep_up(now)
        for job in begun:
            ledger.finish(job.pk, State.LOST, "Its worker died.")
            Job.objects.filter(pk=job.pk).update(created_at=now)
        return [(job.kind, job.parameters["generation"]) for job in begun]


@pytest.fixture
def shop(db: None) -> Shop:
    return Shop()


def test_the_newest_copy_of_each_store_is_read_first(shop: Shop) -> None:
    shop.copy(shop.far, 9)
    far, near = shop.copy(shop.far, 1), shop.copy(shop.near, 1)
    assert set(shop.turn()) == {("verify", far.key), ("verify", near.key)}
    job = Job.objects.filter(kind="verify").first()
    assert job is not None
    assert (job.parameters["level"], job.asked_by) == (2, "policy p")


def test_files_are_hashed_soon_and_only_the_newest_is_read(shop: Shop) -> None:
    shop.copy(shop.far, 9, hashed_at=None)
    new = shop.copy(shop.far, 1, hashed_at=None)
    levels = []
    for hour in range(0, 10, 2):
        for job in keep_up(NOW + timedelta(hours=hour)):
            ledger.finish(job.pk, State.DONE, "It is whole.")
            Job.objects.filter(pk=job.pk).update(created_at=NOW + timedelta(hours=hour))
            levels.append((job.parameters["generation"] == new.key, job.parameters["level"]))
            done = {1: "hashed_at", 2: "verified_at"}[job.parameters["level"]]
            rows = Generation.objects.filter(key=job.parameters["generation"])
            rows.update(**{done: NOW, "rehearsed_at": NOW})
    assert levels == [(True, 2), (True, 1), (False, 1)]


def test_what_was_read_elsewhere_is_booted(shop: Shop) -> None:
    shop.copy(shop.near, 1, verified_at=NOW)
    far = shop.copy(shop.far, 1, verified_at=NOW)
    assert shop.turn() == [("rehearse", far.key)]
    far.rehearsed_at = NOW
    far.save()
    assert shop.turn() == []
    assert shop.turn(NOW + 8 * DAY) != []


def test_one_such_job_at_a_time_in_a_store(shop: Shop) -> None:
    for age in (1, 2, 3):
        shop.copy(shop.far, age)
    assert len(keep_up(NOW)) == 1
    assert keep_up(NOW) == []


def test_a_store_where_something_is_at_work_waits(shop: Shop) -> None:
    shop.copy(shop.far, 1)
    backup = ask_for_backup(factory.make_vm(shop.home.host, "web"), shop.far)
    assert [(each.kind, each.store) for each in traffic()] == [("backup", shop.far.pk)]
    assert keep_up(NOW) == []
    ledger.finish(backup.pk, State.DONE, "It is done.")
    assert len(keep_up(NOW)) == 1


def test_what_did_not_work_is_not_tried_at_every_turn(shop: Shop) -> None:
    copy = shop.copy(shop.far, 1)
    assert shop.turn() == [("verify", copy.key)]
    assert shop.turn(NOW + timedelta(minutes=30)) == []
    assert shop.turn(NOW + timedelta(minutes=61)) == [("verify", copy.key)]


def test_only_within_the_hours(shop: Shop) -> None:
    shop.copy(shop.far, 1)
    save_policy(shop.policy, {"window_start": time(4), "window_end": time(5)})
    assert shop.turn(NOW.replace(minute=30)) == []
    assert len(shop.turn(NOW.replace(hour=4, minute=30))) == 1


@pytest.mark.parametrize("rehearse_days", [0, 30])
def test_never_booted_where_the_owner_says_so(shop: Shop, rehearse_days: int) -> None:
    shop.copy(shop.far, 1, verified_at=NOW)
    save_policy(shop.policy, {"rehearse_days": rehearse_days})
    assert bool(shop.turn()) is bool(rehearse_days)


@pytest.mark.parametrize(
    ("fields", "begun"),
    [
        ({}, 1),
        ({"state": Generation.State.DAMAGED, "damage": "rotten"}, 0),
        ({"state": Generation.State.MISSING}, 0),
    ],
)
def test_only_whole_copies_are_proven(shop: Shop, fields: dict[str, Any], begun: int) -> None:
    shop.copy(shop.far, 1, **fields)
    assert len(shop.turn()) == begun


def test_stores_and_policies_that_are_off_wait(shop: Shop) -> None:
    shop.copy(shop.far, 1)
    Store.objects.update(error="beta does not answer.")
    assert shop.turn() == []
    Store.objects.update(error="")
    save_policy(shop.policy, {"enabled": False})
    assert shop.turn() == []


def test_copies_of_a_vm_that_vanished_are_still_read(shop: Shop) -> None:
    shop.copy(shop.far, 1)
    VM.objects.update(missing_since=NOW)
    assert len(shop.turn()) == 1


def test_queries_do_not_grow_with_the_copies(shop: Shop, django_assert_num_queries: Any) -> None:
    shop.copy(shop.far, 1, verified_at=NOW, rehearsed_at=NOW)
    with django_assert_num_queries(9):
        keep_up(NOW)
    for age in range(2, 9):
        shop.copy(shop.far, age, verified_at=NOW, rehearsed_at=NOW)
        factory.make_vm(shop.home.host, f"vm{age}")
    with django_assert_num_queries(9):
        keep_up(NOW)


def test_what_did_not_pass_is_not_booted_again_the_same_day(shop: Shop) -> None:
    copy = shop.copy(shop.far, 1, verified_at=NOW, hashed_at=NOW)
    assert shop.turn() == [("rehearse", copy.key)]
    assert shop.turn(NOW + timedelta(minutes=61)) == [("rehearse", copy.key)]
    Rehearsal.objects.create(
        generation=copy, began_at=NOW, ended_at=NOW, passed=False, sentence="vdb is empty."
    )
    assert shop.turn(NOW + timedelta(hours=4)) == []
    assert shop.turn(NOW + timedelta(hours=21)) == [("rehearse", copy.key)]


def test_nothing_is_booted_before_a_host_was_looked_at(shop: Shop) -> None:
    shop.copy(shop.far, 1, verified_at=NOW, hashed_at=NOW)
    Host.objects.update(seen_at=NOW - DAY)
    assert keep_up(NOW) == []
    assert len(shop.turn()) == 1
