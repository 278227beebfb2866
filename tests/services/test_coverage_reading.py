"""Coverage reads few generations and judges as if it had read them all."""

import random
import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from backups.models import Generation, GenerationDisk, Rehearsal, Store
from backups.rules.copies.faults import CONTENT, GONE, LOOK, ROTTEN, Fault
from backups.rules.coverage.coverage import judge
from backups.selectors.coverage import coverage
from backups.selectors.coverage.same_disk import of_this_disk
from hosts.models import Finding, Host, VirtualDisk
from labpanel.cli.management.commands.panel import Command
from tests import made_manifests
from tests.pages import factory
from tests.services import sampled

NOW = timezone.now()


SNAPSHOT, RENAMED, ANOTHER = (f"/srv/images/{name}" for name in ("home.s1", "old", "another"))


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
        manifest=made_manifests.value(),
        verified_at=chance.choice([None, NOW]),
        rehearsed_at=chance.choice([None, NOW, NOW - timedelta(days=90)]),
    )
    path = chance.choice([disk.source, disk.source, SNAPSHOT, RENAMED, ANOTHER])
    GenerationDisk.objects.create(
        generation=made,
        target=chance.choice(["vda", "vda", "vdb"]),
        source=path,
        chain=[disk.source] if path == SNAPSHOT else [],
        inode="77" if path == RENAMED else "",
        former=chance.choice(["", "", "", RENAMED]),
        replaced=chance.random() < 0.05,
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
        inode=chance.choice(["", "77"]),
        first_seen_at=NOW - timedelta(hours=100),
        seen_at=NOW,
    )
    for _ in range(chance.randrange(40)):
        where = chance.choice(stores[: 1 + seed % 3])
        generation(disk, where, chance.randrange(-30, 300), chance)
    there = [
        (old.generation, old)
        for old in GenerationDisk.objects.filter(target="vda")
        if old.generation.state != Generation.State.MISSING
    ]
    everything = [coverage._one(disk, *one, NOW) for one in of_this_disk(disk, there)]
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


@pytest.mark.django_db
@pytest.mark.parametrize("away", [["alpha"], ["beta"], ["alpha", "beta"]])
def test_of_a_host_that_is_away_it_is_said_which_copies_there_are(
    away: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is green that rests on a silent host, and nothing is forgotten."""
    alpha, beta = factory.make_host("alpha"), factory.make_host("beta")
    home, far = factory.make_vm(alpha, "home", disks=1), factory.make_store(beta)
    now = timezone.now()
    proven = {"verified_at": now, "rehearsed_at": now}
    kept = factory.make_generation(home, far, timedelta(hours=3), "vda", **proven)
    near = factory.make_generation(home, store("near", alpha), timedelta(hours=2), "vda", **proven)
    factory.make_generation(home, far, timedelta(hours=9), "vda", **proven)
    since = now - timedelta(minutes=30)
    gone = Host.objects.filter(name__in=away)
    gone.update(seen_at=since, failing_since=since, error="It does not answer.")
    (row,) = coverage.coverage(now)
    assert row.verdict == "unknown"
    assert [(one.generation, one.store) for one in row.copies] == [
        (near.key, "near"),
        (kept.key, "far"),
    ]
    assert row.newest is not None
    assert [one["store"] for one in row.as_json()["copies"]] == ["near", "far"]
    assert Command().dispatch(["coverage"]) == 0
    table = capsys.readouterr().out.replace("\N{NO-BREAK SPACE}", " ")
    assert "2 h ago in near, 3 h ago in far" in table


@pytest.mark.django_db
def test_a_copy_of_a_suspect_disk_counts_for_nothing_beside_an_older_one() -> None:
    alpha, beta = factory.make_host("alpha"), factory.make_host("beta")
    home, far = factory.make_vm(alpha, "home", disks=1), factory.make_store(beta)
    now = timezone.now()
    proven = {"verified_at": now, "rehearsed_at": now}
    before = factory.make_generation(home, far, timedelta(hours=5), "vda", **proven)
    for minutes in (5, 10, 50):
        factory.make_generation(home, far, timedelta(minutes=minutes), "vda", **proven)
    finding = factory.make_finding(alpha, home, subject="/srv/images")
    Finding.objects.update(opened_at=now - timedelta(hours=1), kind="file-system")
    (row,) = coverage.coverage(now)
    assert (row.verdict, row.newest and row.newest.generation) == ("covered", before.key)
    Generation.objects.filter(pk=before.pk).delete()
    (row,) = coverage.coverage(now)
    assert (row.verdict, row.level) == ("unverified", "watch")
    assert row.reason.startswith("Every copy of this disk was made after the trouble")
    Finding.objects.filter(pk=finding.pk).update(resolved_at=now)
    (row,) = coverage.coverage(now)
    assert row.verdict == "covered"
