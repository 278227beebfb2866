"""The days of a disk, read from generations, jobs and due runs."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from backups.models import Generation, PolicyRun, Store
from backups.rules.coverage.days import BEFORE, DAMAGED, FAILED, MISSED, QUIET, WORKED, Day
from backups.selectors.coverage.coverage import coverage
from backups.selectors.coverage.days import days_of
from hosts.models import VM
from tests.pages import factory

pytestmark = pytest.mark.django_db


@pytest.fixture
def home() -> VM:
    """vda is known for two months, vdb for five days."""
    vm = factory.make_vm(factory.make_host("alpha"), "home")
    vm.disks.filter(target="vda").update(first_seen_at=timezone.now() - timedelta(days=60))
    vm.disks.filter(target="vdb").update(first_seen_at=timezone.now() - timedelta(days=5))
    return vm


@pytest.fixture
def far() -> Store:
    return factory.make_store(factory.make_host("beta"))


def strips() -> dict[str, list[Day]]:
    now = timezone.now()
    return {target: days for (_, target), days in days_of(coverage(now), now).items()}


def states(**days: int) -> dict[str, Any]:
    """What the strips of the disks say of so many days ago."""
    found = strips()
    return {target: found[target][-1 - ago].state for target, ago in days.items()}


def test_a_generation_says_which_disks_it_holds(home: VM, far: Store) -> None:
    factory.make_generation(home, far, timedelta(days=3), "vda")
    assert states(vda=3, vdb=3) == {"vda": WORKED, "vdb": QUIET}


def test_a_done_run_whose_generation_is_pruned_held_what_was_there(home: VM) -> None:
    factory.make_job("backup", home, timedelta(days=3))
    factory.make_job("backup", home, timedelta(days=9))
    assert states(vda=3, vdb=3) == {"vda": WORKED, "vdb": WORKED}
    assert states(vda=9, vdb=9) == {"vda": WORKED, "vdb": BEFORE}


def test_a_failed_run_tells_why_and_a_cancelled_one_nothing(home: VM) -> None:
    job = factory.make_job("backup", home, timedelta(days=2), state="failed", sentence="Full.")
    factory.make_job("backup", home, timedelta(days=4), state="cancelled")
    day = strips()["vda"][-3]
    assert (day.state, day.why, day.job) == (FAILED, "Full.", job.pk)
    assert states(vda=4) == {"vda": QUIET}


def test_a_due_run_without_a_job_was_missed(home: VM, far: Store) -> None:
    due_at = timezone.now() - timedelta(days=1)
    run = PolicyRun.objects.create(policy=factory.make_policy(), vm=home, store=far, due_at=due_at)
    assert states(vda=1) == {"vda": MISSED}
    run.job = factory.make_job("backup", home, timedelta(days=1))
    run.save()
    assert states(vda=1) == {"vda": WORKED}


def test_a_rotten_copy_spoils_its_day_only_if_there_is_no_other(home: VM, far: Store) -> None:
    rotten = factory.make_generation(home, far, timedelta(days=2), "vda")
    Generation.objects.filter(pk=rotten.pk).update(state=Generation.State.DAMAGED)
    assert states(vda=2) == {"vda": DAMAGED}
    factory.make_generation(home, far, timedelta(days=2), "vda")
    assert states(vda=2) == {"vda": WORKED}


def test_jobs_about_other_things_do_not_count(home: VM) -> None:
    factory.make_job("verify", home, timedelta(days=2))
    factory.make_job("backup", home, timedelta(days=2), subject="store:1")
    assert states(vda=2) == {"vda": QUIET}


def test_four_queries_however_many(home: VM, far: Store) -> None:
    for number in range(5):
        factory.make_generation(home, far, timedelta(days=number), "vda")
    now = timezone.now()
    rows = coverage(now)
    with CaptureQueriesContext(connection) as queries:
        days_of(rows, now)
    assert len(queries) == 4
