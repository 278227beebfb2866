"""Coverage, policies and retention say the same of whether a disk is new."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from backups.models import Exclusion, Generation, GenerationDisk, Policy, Store
from backups.selectors.copies.retention import _former
from backups.selectors.coverage.coverage import coverage
from backups.selectors.policies.dues import dues
from backups.services.index.index_generation import index_generation
from backups.services.policies.save_policy import save_policy
from hosts.models import VM, Host
from labpanel.lib.hints import BITMAP, DEEP, FULL, READ
from labpanel.lib.store_format.reading import checked
from labpanel.lib.strict_json import Malformed
from tests import made_manifests
from tests.pages import factory

pytestmark = pytest.mark.django_db
BASE, S1, S2, OTHER = (f"/srv/images/home.{name}" for name in ("qcow2", "s1", "s2", "other"))
MIB, DAY = 1 << 20, timedelta(days=1)


class Home:
    """A VM with one disk, saved an hour ago under another name of its image; the panel has seen the
    present image since a minute ago."""

    def __init__(self) -> None:
        self.now = timezone.now()
        self.vm = factory.make_vm(factory.make_host("alpha"), "home", disks=1)
        self.far = factory.make_store(factory.make_host("beta"))
        self.disk = self.vm.disks.get()
        save_policy(
            None, {"name": "daily", "is_default": True, "cron": "0 2 * * *", "places": ["far"]}
        )
        Policy.objects.update(since=self.now - 9 * DAY)
        VM.objects.update(first_seen_at=self.now - 9 * DAY)
        # never looked at: what lies there is unsigned, not strange
        Store.objects.update(added_at=self.now - 9 * DAY, looked_at=None)
        self.far.refresh_from_db()
        Host.objects.update(seen_at=self.now, libvirt_seen_at=self.now)

    def kept(self, source: str, chain: tuple[str, ...] = (), **fields: Any) -> Generation:
        made = factory.make_generation(self.vm, self.far, timedelta(hours=1), "vda")
        made.disks.update(source=source, chain=list(chain), **fields)
        return made

    def is_now(self, source: str, chain: tuple[str, ...] = (), **fields: Any) -> None:
        since = self.now - timedelta(minutes=1)
        told = {"source": source, "backing_chain": list(chain), "first_seen_at": since}
        self.vm.disks.update(**told, **fields)

    @property
    def new_for(self) -> tuple[bool, bool, bool]:
        """For coverage, for the policy, for retention."""
        (row,) = coverage(self.now)
        (due,) = dues(self.now)
        since = self.vm.disks.get().first_seen_at
        return row.verdict == "none", due.due_at == since, not self.own()

    def own(self) -> list[str]:
        """The copies that retention takes for copies of this disk."""
        generations = list(Generation.objects.prefetch_related("disks"))
        former = _former(self.vm, generations)
        return [each.key for each in generations if each.disks.get().pk not in former]


@pytest.fixture
def home() -> Home:
    return Home()


@pytest.mark.parametrize(
    ("kept", "present"),
    [
        ((BASE, ()), (BASE, ())),
        ((BASE, ()), (S1, (BASE,))),
        ((S1, (BASE,)), (BASE, ())),
        ((S2, (S1, BASE)), (BASE, ())),
        ((S2, (S1, BASE)), (S1, (BASE,))),
    ],
)
def test_snapshots_that_come_and_go_forget_no_copy(
    home: Home, kept: tuple[str, tuple[str, ...]], present: tuple[str, tuple[str, ...]]
) -> None:
    made = home.kept(*kept)
    home.is_now(*present)
    assert home.new_for == (False, False, False)
    (row,) = coverage(home.now)
    assert row.newest is not None
    assert row.newest.generation == made.key


def test_a_renamed_file_is_known_by_its_inode(home: Home) -> None:
    home.kept(BASE, inode="7811")
    home.is_now(OTHER, inode="7811")
    assert home.new_for == (False, False, False)


@pytest.mark.parametrize(
    ("kept", "present"),
    [
        ((BASE, ()), (OTHER, ())),
        ((S1, (BASE,)), (S2, (BASE,))),  # two clones of one template
        ((BASE, ()), (OTHER, (S1,))),
    ],
)
def test_a_replaced_disk_is_new_for_all_of_them(
    home: Home, kept: tuple[str, tuple[str, ...]], present: tuple[str, tuple[str, ...]]
) -> None:
    home.kept(*kept)
    home.is_now(*present)
    assert home.new_for == (True, True, True)


def test_a_new_disk_is_saved_at_once_and_only_once(home: Home) -> None:
    home.kept(BASE)
    (before,) = dues(home.now)
    home.is_now(OTHER)
    (due,) = dues(home.now)
    assert due.due_at == home.vm.disks.get().first_seen_at
    made = factory.make_generation(home.vm, home.far, timedelta(), "vda")
    assert made.disks.get().source == OTHER
    assert [one.due_at for one in dues(home.now)] == [before.due_at]


def test_a_disk_that_was_plugged_in_is_due_though_the_vm_has_copies(home: Home) -> None:
    home.kept(home.disk.source)
    plugged = home.now - timedelta(minutes=2)
    made = factory.make_vm(home.vm.host, "donor", disks=1).disks.get()
    VM.objects.filter(name="donor").update(missing_since=home.now)
    made.vm, made.target, made.first_seen_at = home.vm, "vdb", plugged
    made.save()
    (due,) = dues(home.now)
    assert due.due_at == plugged
    Exclusion.objects.create(vm=home.vm, target="vdb", reason="scratch", by="olga", since=home.now)
    (due,) = dues(home.now)
    assert due.due_at != plugged


def index(home: Home, key: str, parent: str | None, **disk: Any) -> GenerationDisk:
    entry = made_manifests.asked_disk(parent=parent, virtual_bytes=900 * MIB, **disk)
    vm = {"uuid": str(home.vm.uuid), "name": "home"}
    whole = made_manifests.whole(key, [entry], vm=vm, store_id=str(home.far.store_id))
    found: GenerationDisk = index_generation(home.far, checked(whole)).disks.get()
    return found


FIRST, SECOND = "20261122T231500Z-aaaaaa", "20261123T231500Z-bbbbbb"


@pytest.mark.parametrize(
    ("source", "mode", "alike", "lost", "former", "replaced"),
    [
        (OTHER, READ, 500 * MIB, 3 * MIB, BASE, False),
        (OTHER, DEEP, 500 * MIB, 3 * MIB, BASE, False),
        (OTHER, READ, 3 * MIB, 500 * MIB, "", True),
        (BASE, READ, 3 * MIB, 500 * MIB, "", True),
        (OTHER, READ, 3 * MIB, 5 * MIB, "", False),
        (OTHER, FULL, 0, 0, "", False),
        (BASE, BITMAP, 0, 500 * MIB, "", False),
    ],
)
def test_the_list_of_digests_tells_one_disk_from_another(
    home: Home, source: str, mode: str, alike: int, lost: int, former: str, replaced: bool
) -> None:
    index(home, FIRST, None, source=BASE, chain=["/srv/images/template"], inode=5)
    parent = None if mode == FULL else FIRST
    told = {"mode": mode, "alike_bytes": alike, "lost_bytes": lost, "inode": 9}
    found = index(home, SECOND, parent, source=source, **told)
    assert (found.former, found.replaced, found.inode) == (former, replaced, "9")
    assert GenerationDisk.objects.get(generation__key=FIRST).chain == ["/srv/images/template"]


def test_content_that_is_still_there_brings_the_older_copies_back(home: Home) -> None:
    """Copied to another file system by hand: until the next backup it is unknown, then it is known
    everywhere."""
    index(home, FIRST, None, source=BASE)
    home.is_now(OTHER)
    assert home.new_for == (True, True, True)
    index(home, SECOND, FIRST, source=OTHER, mode=READ, alike_bytes=500 * MIB, lost_bytes=0)
    assert home.new_for == (False, False, False)
    assert sorted(home.own()) == [FIRST, SECOND]


def test_other_content_under_the_same_path_is_another_disk(home: Home) -> None:
    index(home, FIRST, None, source=BASE, inode=5)
    home.is_now(BASE)
    index(home, SECOND, FIRST, source=BASE, inode=9, mode=READ, alike_bytes=0, lost_bytes=500 * MIB)
    (row,) = coverage(home.now)
    assert row.newest is not None
    assert row.newest.generation == SECOND
    assert home.own() == [SECOND]


def test_what_merging_made_of_a_file_counts_for_what_is_stored(home: Home) -> None:
    """A prune puts the parent's blocks into it: the time to get back is told from that."""
    vm = {"uuid": str(home.vm.uuid), "name": "home"}
    for parent, size in (("20261101T231500Z-cccccc", 5 * MIB), (None, 700 * MIB)):
        entry = made_manifests.asked_disk(parent=parent, file_bytes=size)
        whole = made_manifests.whole(FIRST, [entry], vm=vm, store_id=str(home.far.store_id))
        disk = index_generation(home.far, checked(whole)).disks.get()
        assert (disk.parent, disk.written_bytes) == (parent or "", size)


@pytest.mark.parametrize(
    "odd", [["relative"], [7], ["/a\nb"], ["/a"] * 200, "/a", ["/" + "a" * 5000], [None]]
)
def test_a_chain_that_makes_no_sense_is_refused(odd: Any) -> None:
    disk = made_manifests.asked_disk(chain=odd)
    with pytest.raises(Malformed):
        checked(made_manifests.whole(disks=[disk]))
