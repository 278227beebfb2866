"""Backups whose worker died, or whose host went away before all was closed."""

from typing import Any

import pytest

from backups.models import Generation, Store
from backups.services.backup import back_up as service
from backups.services.backup.back_up import ask_for_backup, back_up
from backups.services.backup.owed import FrozenGuest, OpenBackup
from backups.services.index.partial import PartialGeneration
from hosts.models import VM
from labpanel.adapters.errors import AdapterError, Unreachable
from labpanel.jobs import ledger, settling, work
from labpanel.jobs.models import Obligation
from labpanel.jobs.obligations import mark_paid
from labpanel.jobs.states import State
from tests.fakes.backing_up import Scene
from tests.services.test_back_up import VM_UUID, done, later, scene, store, vm

__all__ = ["scene", "store", "vm"]


@pytest.mark.parametrize("step", ["mover.back_up", "keeper.finish", "backup_begin"])
def test_a_dead_worker_is_settled_by_asking(scene: Scene, vm: VM, store: Store, step: str) -> None:
    """The worker dies where nothing can be cleaned up; the settling finds it all."""
    job = ledger.claim(ask_for_backup(vm, store).pk, "worker")
    assert job is not None
    scene.fails = {step: KeyboardInterrupt(), "abort_backup": AdapterError("dead")}
    scene.fails["keeper.drop"] = scene.fails["thaw"] = AdapterError("dead")
    with pytest.raises((KeyboardInterrupt, work.Failed)):
        back_up(work.Work(job))
    scene.pulling, scene.fails, scene.asked = "ours", {}, []
    job.refresh_from_db()
    assert "no copy was made" in ledger.settle(job)
    assert scene.pulling == ""
    assert scene.partials == set()
    if step == "backup_begin":
        assert scene.asked[0] == "thaw"


def test_a_worker_that_died_at_the_very_end_lost_nothing(
    scene: Scene, vm: VM, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = ledger.claim(ask_for_backup(vm, store).pk, "worker")
    assert job is not None

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(service, "index_generation", killed)
    with pytest.raises(KeyboardInterrupt):
        back_up(work.Work(job))
    job.refresh_from_db()
    assert "is complete" in ledger.settle(job)
    assert Generation.objects.get().vm == vm


def test_a_host_that_does_not_answer_keeps_the_job_for_later(
    scene: Scene, vm: VM, store: Store
) -> None:
    job = ledger.claim(ask_for_backup(vm, store).pk, "worker")
    assert job is not None
    host = vm.host.pk
    for one in (
        PartialGeneration(store.host_id, store.pk, VM_UUID, "20261122T231500Z-abc123"),
        OpenBackup(host, VM_UUID, mark="/x", files=("/x",), ran=True),
    ):
        work.Work(job).owe(one)
    scene.fails["abort_backup"] = Unreachable("alpha does not answer.")
    with pytest.raises(Unreachable):
        ledger.settle(job)
    assert [row.kind for row in job.obligations.filter(paid_at=None)] == [OpenBackup.KIND]


def test_what_a_cut_host_kept_open_is_closed_when_it_is_back(
    scene: Scene, vm: VM, store: Store
) -> None:
    gone = Unreachable("alpha does not answer.")
    scene.fails = {"mover.back_up": gone, "abort_backup": gone}
    assert done(vm, store).state == State.FAILED
    assert scene.pulling
    settling.settle(later(0))
    assert scene.pulling
    scene.fails = {}
    settling.settle(later(1))
    assert scene.pulling == ""
    scene.asked = []
    settling.settle(later(2))
    assert scene.asked == []
    assert not Obligation.objects.exists()


def test_a_guest_that_may_still_be_frozen_is_thawed_until_it_says_so(
    scene: Scene, vm: VM, store: Store
) -> None:
    """A stuck agent does later what it was asked for, when no call waits any more."""
    scene.thaws = False
    assert done(vm, store).state == State.DONE
    for turn in range(2):
        scene.asked = []
        settling.settle(later(turn))
        assert scene.asked == ["thaw"]
    scene.thaws = True
    settling.settle(later(2))
    scene.asked = []
    settling.settle(later(3))
    assert scene.asked == []
    assert not Obligation.objects.exists()


def test_no_thaw_comes_into_the_instant_of_another_backup(
    scene: Scene, vm: VM, store: Store
) -> None:
    scene.thaws = False
    assert done(vm, store).state == State.DONE
    other = ledger.claim(ask_for_backup(vm, store).pk, "worker")
    assert other is not None
    row = work.Work(other).owe(FrozenGuest(vm.host.pk, VM_UUID))
    scene.asked = []
    settling.settle(later(0))
    assert scene.asked == []
    mark_paid(row)
    settling.settle(later(1))
    assert scene.asked == ["thaw"]
