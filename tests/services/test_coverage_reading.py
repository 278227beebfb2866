"""Coverage reads few generations and judges as if it had read them all."""

import random
import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from backups.models import Generation, GenerationDisk, Rehearsal, Store
from backups.rules.coverage import judge
from backups.rules.faults import CONTENT, GONE, LOOK, ROTTEN, Fault
from backups.selectors import coverage
from hosts.models import Host, VirtualDisk
from tests.pages import factory
from tests.services import sampled

NOW = timezone.now()


def store(name: str, host: Host | None) -> Store:
    return Store.objects.create(name=name, host=host, path=f"/srv/{name}", store_id=uuid.uuid4())


def generation(disk: VirtualDisk, where: Store, hours: int, chance: random.Random) -> None:
    made = Generation.objects.create(
        key=uuid.uuid4().hex,
        store=where,
        vm=disk.vm,
        vm_uuid=disk.vm.uuid,
        vm_name=disk.vm.name,
        source_host=chance.choice(["alpha", "beta"]),
        taken_at=NOW - timedelta(hours=hours),
        consistency=Generation.Consistency.CRASH,
        state=chance.choice(list(Generation.State)),
        damage=f"block {hours}",
        manifest={},
        verified_at=chance.choice([None, NOW]),
        rehearsed_at=chance.choice([None, NOW, NOW - timedelta(days=90)]),
    )
    GenerationDisk.objects.create(
        generation=made,
        target=chance.choice(["vda", "vda", "vdb"]),
        source=chance.choice([disk.source, disk.source, "/srv/images/another.qcow2"]),
        virtual_bytes=1,
        read_bytes=1,
        written_bytes=1,
        seconds=1,
        unreadable=chance.choice([[], [], [[0, 4096]]]),
    )


@pytest.mark.django_db
@pytest.mark.parametrize("seed", range(40))
def test_the_newest_of_those_alike_tell_as_much_as_all(seed: int) -> None:
    chance = random.Random(seed)
    alpha, beta = sampled.host("alpha"), sampled.host("beta")
    Host.objects.update(seen_at=NOW)
    stores = [store("near", alpha), store("far", beta), store("here", None)]
    disk = VirtualDisk.objects.create(
        vm=sampled.vm(alpha),
        target="vda",
        source="/srv/images/home.qcow2",
        first_seen_at=NOW - timedelta(hours=100),
        seen_at=NOW,
    )
    for _ in range(chance.randrange(40)):
        where = chance.choice(stores[: 1 + seed % 3])
        generation(disk, where, chance.randrange(-30, 300), chance)
    everything = [
        coverage._one(disk, old.generation, old, NOW)
        for old in GenerationDisk.objects.filter(target="vda")
        if old.generation.state != Generation.State.MISSING and coverage._same_disk(disk, old)
    ]
    (row,) = coverage.coverage(NOW)
    told = judge(everything, now=NOW)
    assert (row.verdict, row.reason) == (told.verdict, told.reason)
    assert (row.newest and row.newest.taken_at) == (told.newest and told.newest.taken_at)


@pytest.mark.django_db
def test_rot_in_one_disk_spoils_that_disk_alone() -> None:
    home = factory.make_vm(factory.make_host("alpha"), "home")
    made = factory.make_generation(
        home, factory.make_store(factory.make_host("beta")), timedelta(hours=1), "vda", "vdb"
    )
    fault = Fault(CONTENT, made.key, "vdb.qcow2", ROTTEN, "vdb", [[0, 262144]])
    Generation.objects.update(
        state="damaged", damage=fault.sentence(made.key), faults=[fault.as_json()]
    )
    rows = {row.disk: row for row in coverage.coverage(timezone.now())}
    assert {disk: row.verdict for disk, row in rows.items()} == {
        "vda": "unverified",
        "vdb": "broken",
    }
    assert "vdb.qcow2 differs from what was backed up" in rows["vdb"].reason
    whole = Fault(LOOK, made.key, "manifest.json", GONE)
    Generation.objects.update(faults=[whole.as_json()])
    assert {row.verdict for row in coverage.coverage(timezone.now())} == {"broken"}


@pytest.mark.django_db
def test_of_copies_that_were_read_back_the_newest_speaks() -> None:
    home = factory.make_vm(factory.make_host("alpha"), "home", disks=1)
    far = factory.make_store(factory.make_host("beta"))
    long_ago = timezone.now() - timedelta(days=30)
    factory.make_generation(home, far, timedelta(days=1), "vda", verified_at=long_ago)
    factory.make_generation(home, far, timedelta(days=2), "vda", verified_at=timezone.now())
    (row,) = coverage.coverage(timezone.now())
    assert row.verdict == "unverified"


@pytest.mark.django_db
def test_a_failed_boot_is_not_forgotten_when_a_newer_copy_comes() -> None:
    alpha, beta = factory.make_host("alpha"), factory.make_host("beta")
    home = factory.make_vm(alpha, "home", disks=1)
    far = factory.make_store(beta)
    now = timezone.now()
    older = factory.make_generation(home, far, timedelta(days=2), "vda", verified_at=now)
    factory.make_rehearsal(older, beta, began_at=now - timedelta(days=1, minutes=2))
    booted = factory.make_generation(home, far, timedelta(days=1), "vda", verified_at=now)
    wrong = [{"what": "All disks are there", "passed": False, "seen": "vdb is missing"}]
    failed = factory.make_rehearsal(booted, beta, passed=False, sentence="Gone.", checks=wrong)
    factory.make_generation(home, far, timedelta(hours=1), "vda", verified_at=now)
    Rehearsal.objects.exclude(pk=failed.pk).update(ended_at=now - timedelta(days=1))
    Generation.objects.filter(pk=older.pk).update(rehearsed_at=now - timedelta(days=1))
    (row,) = coverage.coverage(now)
    assert row.verdict == "broken"
    assert row.reason.endswith("and that failed: Gone.")
    Rehearsal.objects.filter(pk=failed.pk).update(checks=[])
    (row,) = coverage.coverage(now)
    assert row.verdict == "covered"


@pytest.mark.django_db
def test_a_store_that_cannot_be_looked_at_makes_nothing_green() -> None:
    alpha, beta = factory.make_host("alpha"), factory.make_host("beta")
    home, far = factory.make_vm(alpha, "home", disks=1), factory.make_store(beta)
    now = timezone.now()
    proven = {"verified_at": now, "rehearsed_at": now}
    factory.make_generation(home, far, timedelta(hours=1), "vda", **proven)
    error = "/srv/store is empty: mount what should be mounted there, and look again."
    Store.objects.update(error=error, looked_at=now - timedelta(minutes=6))
    (row,) = coverage.coverage(now)
    assert (row.verdict, row.level) == ("unknown", "unknown")
    assert row.reason == f"What far holds cannot be looked at: {error}"
    factory.make_generation(home, store("other", beta), timedelta(hours=2), "vda", **proven)
    (row,) = coverage.coverage(now)
    assert (row.verdict, row.newest and row.newest.store) == ("covered", "other")


@pytest.mark.django_db
def test_a_copy_from_the_future_hides_no_fresh_one() -> None:
    alpha, beta = factory.make_host("alpha"), factory.make_host("beta")
    home, far = factory.make_vm(alpha, "home", disks=1), factory.make_store(beta)
    now = timezone.now()
    factory.make_generation(home, far, timedelta(days=-400), "vda", verified_at=now)
    (row,) = coverage.coverage(now)
    assert row.verdict == "stale"
    fresh = factory.make_generation(home, far, timedelta(hours=1), "vda", verified_at=now)
    (row,) = coverage.coverage(now)
    assert (row.verdict, row.newest and row.newest.generation) == ("unrehearsed", fresh.key)


@pytest.mark.django_db
def test_a_store_that_is_mounted_read_only_still_counts() -> None:
    alpha, beta = factory.make_host("alpha"), factory.make_host("beta")
    home, far = factory.make_vm(alpha, "home", disks=1), factory.make_store(beta)
    now = timezone.now()
    proven = {"verified_at": now, "rehearsed_at": now}
    factory.make_generation(home, far, timedelta(hours=1), "vda", **proven)
    Store.objects.update(error="It is mounted read-only.", looked_at=now - timedelta(minutes=2))
    (row,) = coverage.coverage(now)
    assert row.verdict == "covered"
