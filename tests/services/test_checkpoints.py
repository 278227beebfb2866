"""The life of our checkpoints: one for each generation, and never another's are touched."""

from typing import Any

import pytest

from backups.models import GenerationDisk, Store
from backups.services.backup.back_up import ask_for_backup, back_up
from hosts.models import VM
from labpanel.adapters.errors import AdapterError, Missing, Refused, Unreachable
from labpanel.jobs import ledger, settling, work
from labpanel.jobs.models import Job
from labpanel.jobs.states import State
from tests.fakes.backing_up import Scene
from tests.services.test_back_up import done, later, scene, store, vm

__all__ = ["scene", "store", "vm"]
FOREIGN = "virtnbdbackup.0"


def newest() -> GenerationDisk:
    found = GenerationDisk.objects.order_by("generation__taken_at").last()
    assert found is not None
    return found


def ours(scene: Scene) -> set[str]:
    return {name for name in scene.checkpoints if name != FOREIGN}


def test_the_record_turns_with_each_generation(scene: Scene, vm: VM, store: Store) -> None:
    scene.checkpoints = {FOREIGN}
    done(vm, store)
    first = ours(scene)
    assert first == {newest().generation.manifest.checkpoint}
    done(vm, store)
    assert newest().mode == "bitmap"
    assert ours(scene) == {newest().generation.manifest.checkpoint} != first
    assert FOREIGN in scene.checkpoints


def test_each_store_has_records_of_its_own(scene: Scene, vm: VM, store: Store) -> None:
    done(vm, store)
    near = Store.objects.create(
        name="near", host=vm.host, path="/srv/near", store_id="11111111-2222-4333-8444-000000000000"
    )
    done(vm, near)
    assert len(ours(scene)) == 2
    done(vm, store)
    assert newest().mode == "bitmap"
    assert len(ours(scene)) == 2


@pytest.mark.parametrize("step", ["backup_begin", "mover.back_up", "keeper.finish"])
def test_a_failed_run_keeps_the_record_before_it_and_none_of_its_own(
    scene: Scene, vm: VM, store: Store, step: str
) -> None:
    done(vm, store)
    before = ours(scene)
    scene.fails[step] = Unreachable("it broke")
    assert done(vm, store).state == State.FAILED
    assert ours(scene) == before
    scene.fails = {}
    assert done(vm, store).state == State.DONE
    assert newest().mode == "bitmap"


def test_old_records_that_will_not_go_cost_no_backup(scene: Scene, vm: VM, store: Store) -> None:
    done(vm, store)
    scene.fails["forget_checkpoints"] = Refused("libvirt said no")
    job = done(vm, store)
    assert job.state == State.DONE
    assert len(ours(scene)) == 2
    assert any("Old checkpoints stay for now" in line.text for line in job.lines.all())
    scene.fails = {}
    done(vm, store)
    assert len(ours(scene)) == 1


@pytest.mark.parametrize(("broken", "stays"), [("mover.back_up", False), ("index", True)])
def test_a_dead_worker_leaves_the_record_of_a_complete_generation_only(
    scene: Scene,
    vm: VM,
    store: Store,
    broken: str,
    stays: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done(vm, store)
    before = ours(scene)
    job = ledger.claim(ask_for_backup(vm, store).pk, "worker")
    assert job is not None

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        if stays:
            dying.setattr("backups.services.backup.checkpoints.keep_only", killed)
        else:
            scene.fails[broken] = KeyboardInterrupt()
            scene.fails["forget_checkpoints"] = AdapterError("dead")
        with pytest.raises(KeyboardInterrupt):
            back_up(work.Work(job))
    scene.fails = {}
    assert len(ours(scene)) == 2
    job.refresh_from_db()
    ledger.settle(job)
    Job.objects.filter(pk=job.pk).update(state=State.LOST)
    assert (ours(scene) == before) is not stays
    done(vm, store)
    assert len(ours(scene)) == 1
    assert newest().mode == "bitmap"


def test_what_a_cut_host_kept_is_removed_when_it_is_back(
    scene: Scene, vm: VM, store: Store
) -> None:
    gone = Unreachable("alpha does not answer.")
    scene.fails = {"mover.back_up": gone, "abort_backup": gone, "forget_checkpoints": gone}
    assert done(vm, store).state == State.FAILED
    assert ours(scene)
    scene.fails = {}
    settling.settle(later(0))
    assert not ours(scene)
    scene.asked = []
    settling.settle(later(1))
    assert scene.asked == []


def test_of_a_vm_that_was_removed_meanwhile_nothing_is_owed(
    scene: Scene, vm: VM, store: Store
) -> None:
    gone = Unreachable("alpha does not answer.")
    scene.fails = {"mover.back_up": gone, "abort_backup": gone, "forget_checkpoints": gone}
    job = done(vm, store)
    scene.fails = {"backup_facts": Missing("There is no such VM.")}
    settling.settle(later(0))
    assert not job.obligations.exists()


def test_a_refused_record_costs_a_full_read_in_the_same_job(
    scene: Scene, vm: VM, store: Store
) -> None:
    done(vm, store)
    scene.refuses = "incremental="
    job = done(vm, store)
    assert job.state == State.DONE
    assert newest().mode == "full read"
    assert "libvirt refused the record of what changed: libvirt said no" in newest().why
    assert len(ours(scene)) == 1


def test_a_record_that_cannot_be_begun_costs_no_backup(scene: Scene, vm: VM, store: Store) -> None:
    scene.refuses = "domaincheckpoint"
    assert done(vm, store).state == State.DONE
    assert newest().generation.manifest.checkpoint == ""
    assert not scene.checkpoints
    scene.refuses = ""
    done(vm, store)
    assert newest().mode == "full read"


def test_a_doubted_record_is_not_asked_for(scene: Scene, vm: VM, store: Store) -> None:
    done(vm, store)
    scene.doubts = "checkpoint inconsistent: missing or broken bitmap for disk 'vda'"
    done(vm, store)
    assert newest().mode == "full read"
    assert "incremental=" not in scene.pulling


def test_a_vm_with_snapshots_keeps_no_record(scene: Scene, vm: VM, store: Store) -> None:
    done(vm, store)
    scene.snapshots = 1
    done(vm, store)
    assert not ours(scene)


def test_an_iothread_is_pushed_and_read_whole(scene: Scene, vm: VM, store: Store) -> None:
    scene.iothread = True
    assert done(vm, store).state == State.DONE
    assert done(vm, store).state == State.DONE
    assert newest().mode == "full read"
    assert "iothread" in newest().why
    assert "images.remove" in scene.asked
    assert not scene.checkpoints


def test_no_room_to_copy_aside_is_said_before_it_begins(scene: Scene, vm: VM, store: Store) -> None:
    scene.iothread, scene.available_bytes = True, 1 << 20
    job = done(vm, store)
    assert job.state == State.FAILED
    assert "shut home down, remove the iothread, or update QEMU to 9.0" in job.sentence
    assert "backup_begin" not in scene.asked
