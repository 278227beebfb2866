"""Copies that a policy does not keep any more are pruned after each new one."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from backups.models import Generation, Hold, Store
from backups.services.policies.save_policy import save_policy
from backups.services.proof.verify import ask_for_verify
from backups.services.prune.schedule_prunes import thin_out
from hosts.models import VM
from labpanel.jobs import ledger
from labpanel.jobs.models import Job
from labpanel.jobs.states import State
from tests.pages import factory

pytestmark = pytest.mark.django_db
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
NOW = datetime.now(UTC)


@pytest.fixture(autouse=True)
def at_now() -> Iterator[None]:
    """Jobs are dated by the clock: a long run of tests must not make them later than NOW."""
    with time_machine.travel(NOW):
        yield


class Shop:
    """home on alpha with copies in beta's store, three of which are kept."""

    def __init__(self) -> None:
        alpha, beta = factory.make_host("alpha"), factory.make_host("beta")
        self.far, self.near = factory.make_store(beta), factory.make_store(alpha, "near")
        self.home = factory.make_vm(alpha, "home")
        self.policy = save_policy(
            None, {"name": "p", "is_default": True, "cron": "0 2 * * 0", "places": ["far"]}
        )

    def copies(self, *ages: float, store: Store | None = None) -> list[Generation]:
        return [
            factory.make_generation(
                self.home, store or self.far, timedelta(), "vda", taken_at=NOW - age * DAY
            )
            for age in ages
        ]

    def turn(self, now: datetime = NOW, state: State = State.DONE) -> list[str]:
        """What was begun; it all ends at once, and nothing is gone."""
        begun = thin_out(now)
        for job in begun:
            ledger.finish(job.pk, state, "It ended.")
            Job.objects.filter(pk=job.pk).update(created_at=now)
        return [job.title for job in begun]


@pytest.fixture
def shop(db: None) -> Shop:
    return Shop()


def test_the_fourth_copy_lets_the_first_go(shop: Shop) -> None:
    shop.copies(3, 2, 1)
    assert shop.turn() == []
    shop.copies(0)
    (job,) = thin_out(NOW)
    assert (job.kind, job.asked_by) == ("prune", "policy p")
    assert job.parameters == {
        "vm_uuid": str(shop.home.uuid),
        "store": shop.far.pk,
        "policy": "p",
    }


def test_a_try_is_not_made_at_every_turn_but_after_a_while_or_a_new_copy(shop: Shop) -> None:
    shop.copies(5, 4, 3, 2)
    assert len(shop.turn(NOW, State.FAILED)) == 1
    assert shop.turn(NOW + HOUR / 2) == []
    assert len(shop.turn(NOW + 2 * HOUR)) == 1
    shop.copies(-0.1)
    assert len(shop.turn(NOW + 2 * HOUR + timedelta(minutes=1))) == 1


def test_a_merge_that_broke_off_is_taken_up_though_nothing_more_has_to_go(shop: Shop) -> None:
    copies = shop.copies(5, 4, 3, 2)
    assert len(shop.turn(NOW, State.LOST)) == 1
    copies[0].delete()
    assert shop.turn(NOW + HOUR / 2) == []
    assert len(shop.turn(NOW + 2 * HOUR)) == 1
    assert shop.turn(NOW + 4 * HOUR) == []


def test_one_prune_at_a_time_in_a_store(shop: Shop) -> None:
    shop.copies(5, 4, 3, 2)
    web = factory.make_vm(shop.home.host, "web")
    for age in (5, 4, 3, 2):
        factory.make_generation(web, shop.far, timedelta(), "vda", taken_at=NOW - age * DAY)
    (first,) = thin_out(NOW)
    assert thin_out(NOW) == []
    ledger.finish(first.pk, State.DONE, "It ended.")
    (second,) = thin_out(NOW)
    assert first.subject != second.subject


def test_copies_that_are_being_read_wait(shop: Shop) -> None:
    *_, newest = shop.copies(5, 4, 3, 2)
    job = ask_for_verify(newest, 2)
    assert shop.turn() == []
    ledger.finish(job.pk, State.DONE, "It ended.")
    assert len(shop.turn()) == 1


def test_a_vm_that_is_being_worked_on_waits(shop: Shop) -> None:
    shop.copies(5, 4, 3, 2)
    move = ledger.open_job("move", "Move home", lock_key=f"vm:{shop.home.uuid}")
    assert shop.turn() == []
    ledger.finish(move.pk, State.DONE, "It ended.")
    assert len(shop.turn()) == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda shop: Hold.objects.create(vm=shop.home, reason="alpha's drive", by="olga"),
        lambda shop: VM.objects.update(missing_since=NOW),
        lambda shop: Store.objects.update(error="beta does not answer."),
        lambda shop: save_policy(shop.policy, {"enabled": False}),
        lambda shop: save_policy(shop.policy, {"keep_last": 4}),
        lambda shop: Generation.objects.order_by("pk").update(state=Generation.State.MISSING),
    ],
    ids=["held", "vanished", "store away", "off", "all kept", "gone"],
)
def test_nothing_goes(shop: Shop, change: Any) -> None:
    shop.copies(5, 4, 3, 2)
    change(shop)
    assert shop.turn() == []


def test_queries_do_not_grow_where_nothing_goes(shop: Shop, django_assert_num_queries: Any) -> None:
    shop.copies(3)
    thin_out(NOW)  # the first look at the clock is written down
    with django_assert_num_queries(9):
        thin_out(NOW)
    for number in range(8):
        vm = factory.make_vm(shop.home.host, f"vm{number}")
        factory.make_generation(vm, shop.far, timedelta(), "vda")
    with django_assert_num_queries(9):
        thin_out(NOW)
