"""Pruning from the plan to the rows, with a real store on this machine; holds and protection."""

import json
import random
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from backups.models import Generation, GenerationDisk, InstantRun, Policy, Rehearsal, Store
from backups.selectors.copies.holds import held
from backups.selectors.coverage.coverage import coverage
from backups.services.index.hold import hold, release
from backups.services.index.identity import panel_id
from backups.services.index.protect import protect, unprotect
from backups.services.index.signing import signed
from backups.services.prune import prune as service
from backups.services.prune.prune import ask_for_prune, plan, prune, settle
from backups.services.stores.look_at_stores import look_at
from hosts.models import VM, Host, VirtualDisk
from labpanel.jobs import work
from labpanel.jobs.ledger import Busy
from labpanel.jobs.models import Job
from labpanel.jobs.states import State
from labpanel.lib.actor import Actor, ActorKind
from labpanel.lib.refusal import Refusal
from labpanel.lib.store_format.journal import JournalFile
from labpanel.lib.store_format.reading import checked
from tests.adapters import generations
from tests.adapters.generations import BLOCK, Made, changed
from tests.made_manifests import sealed

STORE_ID = "00000000-0000-4000-8000-000000000001"


def signed_json(made: dict[str, Any]) -> dict[str, Any]:
    return signed(checked(sealed(made))).as_json()


@pytest.fixture
def vm(db: None) -> VM:
    now = timezone.now()
    host = Host.objects.create(name="alpha", target="root@alpha", seen_at=now)
    vm = VM.objects.create(
        uuid=generations.VM, name="home", host=host, state="running", first_seen_at=now, seen_at=now
    )
    VirtualDisk.objects.create(
        vm=vm,
        target="vda",
        source="/srv/images/home-vda.qcow2",
        format="qcow2",
        first_seen_at=now,
        seen_at=now,
    )
    return vm


@pytest.fixture
def policy(db: None) -> Policy:
    return Policy.objects.create(
        name="weekly",
        is_default=True,
        cron="0 2 * * 0",
        timezone="UTC",
        places=["far"],
        keep_last=2,
    )


@pytest.fixture
def kept(vm: VM, tmp_path: Path, needs: Callable[..., None]) -> Made:
    """Four generations of home in the store, known to the panel."""
    needs("qemu-nbd", "qemu-img", "qemu-io")
    place = tmp_path / "store"
    generations.init(place, panel_id(), STORE_ID)
    made, content = Made(place, random.Random(3), sign=signed_json), bytes(3 * BLOCK)
    for _ in range(4):
        content = changed(made.chance, content, 2)
        made.add({"vda": content})
    look_at(Store.objects.create(name="far", path=str(place), store_id=STORE_ID))
    assert Generation.objects.filter(state="complete").count() == 4
    return made


@pytest.fixture
def store(kept: Made) -> Store:
    return Store.objects.get()


def done(vm: VM, store: Store) -> Job:
    job = ask_for_prune(vm, store)
    work.perform(job.pk, prune)
    job.refresh_from_db()
    return job


def keys() -> list[str]:
    return sorted(Generation.objects.values_list("key", flat=True))


def test_what_the_policy_does_not_keep_goes(
    kept: Made, vm: VM, store: Store, policy: Policy
) -> None:
    first, second, third, fourth = kept.listed()
    made = plan(vm, store)
    assert made.drop == [second, first]
    assert made.rule == "the policy weekly keeps the last 2 copies"
    job = done(vm, store)
    assert job.state == State.DONE, job.sentence
    assert job.sentence.startswith("2 copies are gone from far, 2 copies stay")
    assert job.result is not None
    assert {each["generation"]: each["fate"] for each in job.result["generations"]} == {
        first: "dropped",
        second: "dropped",
        third: "kept",
        fourth: "kept",
    }
    assert keys() == kept.listed() == [third, fourth]
    kept.assert_sound([third, fourth])
    rows = {row.key: row for row in Generation.objects.all()}
    assert rows[third].manifest.as_json() == kept.manifest(third)
    assert rows[third].disks.get().parent == ""
    assert rows[fourth].disks.get().parent == third
    assert "older than the last 2 copies" in "\n".join(line.text for line in job.lines.all())


def test_the_last_copy_of_a_disk_that_another_replaced_stays(
    kept: Made, vm: VM, store: Store, policy: Policy
) -> None:
    first, second, *_ = kept.listed()
    GenerationDisk.objects.update(source="/srv/images/home-vda.qcow2")
    old = GenerationDisk.objects.filter(generation__key__in=[first, second])
    old.update(source="/srv/images/old.qcow2")
    vm.disks.update(first_seen_at=Generation.objects.get(key=kept.listed()[2]).taken_at)
    made = plan(vm, store)
    assert made.drop == [first]
    reasons = {each.generation.key: each.verdict.reason for each in made.fates}
    assert reasons[second] == "the last good one of vda as it was in /srv/images/old.qcow2"


def test_a_second_prune_has_nothing_to_do(kept: Made, vm: VM, store: Store, policy: Policy) -> None:
    done(vm, store)
    before = keys()
    assert done(vm, store).sentence == "Nothing of home in far had to go; 2 copies stay."
    assert keys() == before


def test_without_a_policy_nothing_goes(kept: Made, vm: VM, store: Store) -> None:
    assert plan(vm, store).drop == []
    assert done(vm, store).state == State.DONE
    assert len(kept.listed()) == 4


def test_a_held_vm_keeps_everything(kept: Made, vm: VM, store: Store, policy: Policy) -> None:
    hold(vm, "its drive has pending sectors.", Actor.user("olga"))
    reasons = {each.verdict.reason for each in plan(vm, store).fates}
    (reason,) = reasons
    assert reason.startswith("home is held since ")
    assert reason.endswith(" UTC: its drive has pending sectors")
    done(vm, store)
    assert len(kept.listed()) == 4
    release(vm, Actor.user("olga"))
    assert len(plan(vm, store).drop) == 2


def test_a_protected_copy_stays(kept: Made, vm: VM, store: Store, policy: Policy) -> None:
    first, _, third, fourth = kept.listed()
    protect(Generation.objects.get(key=first), "before the upgrade")
    done(vm, store)
    assert kept.listed() == [first, third, fourth]
    kept.assert_sound([first, third, fourth])
    unprotect(Generation.objects.get(key=first))
    done(vm, store)
    assert kept.listed() == [third, fourth]


def test_a_vm_that_is_gone_is_pruned_by_hand_only(
    kept: Made, vm: VM, store: Store, policy: Policy
) -> None:
    VM.objects.update(missing_since=timezone.now())
    vm.refresh_from_db()
    with pytest.raises(Refusal, match="by hand only"):
        ask_for_prune(vm, store, policy="weekly")
    assert done(vm, store).state == State.DONE
    assert len(kept.listed()) == 2


def test_a_running_backup_comes_first(kept: Made, vm: VM, store: Store, policy: Policy) -> None:
    Job.objects.create(kind="backup", title="Back up home", lock_key=f"vm:{vm.uuid}")
    with pytest.raises(Busy):
        ask_for_prune(vm, store)


def test_rehearsals_and_ended_runs_go_with_their_copy(
    kept: Made, vm: VM, store: Store, policy: Policy
) -> None:
    oldest, now = Generation.objects.get(key=kept.listed()[0]), timezone.now()
    Rehearsal.objects.create(
        generation=oldest, host=vm.host, began_at=now, ended_at=now, passed=True, sentence="ok"
    )
    run = InstantRun.objects.create(
        vm_uuid=vm.uuid, vm_name="home", host=vm.host, generation=oldest
    )
    assert plan(vm, store).drop == []
    assert {each.verdict.reason for each in plan(vm, store).fates} == {
        f"home runs from {oldest.key} until its blocks are local"
    }
    run.ended_at = now
    run.save()
    assert done(vm, store).state == State.DONE
    assert not Rehearsal.objects.exists()
    assert not InstantRun.objects.exists()


def half_merged(kept: Made, vm: VM, store: Store, monkeypatch: pytest.MonkeyPatch) -> Job:
    """A prune whose script dies right after the point of no return: the dropped ones are listed
    no more, and nothing is merged yet."""
    from labpanel.onhost.store import journal, manifests

    first, second = kept.listed()[:2]
    drop = {key: checked(kept.manifest(key)) for key in (first, second)}
    begun = journal.Journal(kept.folder, JournalFile(drop=drop))
    begun.write()
    begun.merging()
    assert manifests.read(kept.folder / first / "manifest.json")[0] is None
    job = ask_for_prune(vm, store)
    job.state_data = {"store": store.pk, "drop": [first, second]}
    job.save()
    return job


def test_half_merged_is_neither_damaged_nor_missing(
    kept: Made, vm: VM, store: Store, policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    stay = kept.listed()[2:]
    half_merged(kept, vm, store, monkeypatch)
    look_at(store)
    assert keys() == stay
    assert set(Generation.objects.values_list("state", flat=True)) == {"complete"}
    assert [row.verdict for row in coverage(timezone.now())] != ["broken"]
    Job.objects.all().delete()
    assert done(vm, store).state == State.DONE
    assert kept.listed() == stay
    kept.assert_sound(stay)
    assert sorted(path.name for path in kept.folder.iterdir()) == [".lock", *stay]


def test_a_dead_workers_prune_is_settled_in_words(
    kept: Made, vm: VM, store: Store, policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = half_merged(kept, vm, store, monkeypatch)
    assert settle(job) == (
        "The worker died while it merged; every copy that stays reads as before, and the next "
        "prune ends it."
    )
    assert len(keys()) == 2
    job.state_data = {}
    assert settle(job).startswith("The worker died before anything was begun")


def test_a_refusal_is_a_sentence_and_changes_nothing(
    kept: Made, vm: VM, store: Store, policy: Policy
) -> None:
    third = kept.listed()[2]
    image = kept.folder / third / "vda.digests"
    image.write_bytes(image.read_bytes()[:-1] + b"?")
    job = done(vm, store)
    assert job.state == State.FAILED
    assert f"vda.digests of generation {third} is not what was written." in job.sentence
    assert "Nothing of home that is kept in far has changed. Verify it" in job.sentence
    assert len(kept.listed()) == 4
    assert not (kept.folder / "journal.json").exists()


def test_a_damaged_copy_is_no_reason_to_drop_a_good_one(
    kept: Made, vm: VM, store: Store, policy: Policy
) -> None:
    *_, third, fourth = kept.listed()
    Generation.objects.filter(key=fourth).update(state="damaged", damage="vda.qcow2 is gone")
    assert plan(vm, store).drop == [kept.listed()[0]]
    Generation.objects.filter(key=third).update(state="missing")
    assert plan(vm, store).drop == []


def test_a_hold_lasts_until_it_is_released(vm: VM) -> None:
    assert held(vm) is None
    hold(vm, "  pending\n sectors ", Actor(ActorKind.PANEL, "labpanel"))
    kept = hold(vm, "read errors", Actor.user("olga"))
    assert (kept.reason, kept.by) == ("pending sectors; read errors", "labpanel")
    assert hold(vm, "read errors", Actor.user("olga")).reason == kept.reason
    with pytest.raises(Refusal):
        hold(vm, " ", Actor.user("olga"))
    with pytest.raises(Refusal):
        hold(vm, "x" * 501, Actor.user("olga"))
    assert "not held any more" in release(vm, Actor.user("olga"))
    with pytest.raises(Refusal):
        release(vm, Actor.user("olga"))
    assert held(vm) is None
    assert hold(vm, "again", Actor.user("olga")).reason == "again"


def test_the_plan_as_json_is_what_was_seen(
    kept: Made, vm: VM, store: Store, policy: Policy
) -> None:
    said: dict[str, Any] = json.loads(json.dumps(plan(vm, store).as_json()))
    assert (said["vm"], said["store"], said["policy"]) == ("home", "far", "weekly")
    assert [each["fate"] for each in said["generations"]] == ["kept", "kept", "dropped", "dropped"]


def test_the_ask_is_in_the_ledger(kept: Made, vm: VM, store: Store) -> None:
    job = ask_for_prune(vm, store, asked_by=Actor.user("olga"))
    assert (job.kind, job.title, job.asked_by) == ("prune", "Prune home in far", "olga")
    assert job.created_at > timezone.now() - timedelta(minutes=1)
    assert service.__all__ == ["ask_for_prune", "plan", "prune", "settle"]
