"""A read or a write that fails during work is evidence at once: named, held, and no plain move."""

import errno
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from backups.models import Store
from backups.selectors.copies.holds import held
from backups.services.index import failed_work
from backups.services.index.evidence import HostImage, StoreFile, note, noted
from backups.services.policies.assign_policy import assign
from backups.services.policies.delete_policy import delete_policy
from backups.services.stores.remove_store import remove_store
from hosts.models import VM, FileSystem, Finding, Host, VirtualDisk
from hosts.rules.placement import fit
from hosts.selectors.findings import open_findings
from hosts.services.vms.forget_vm import forget
from labpanel.adapters.errors import Unreachable
from labpanel.adapters.ssh.session import ScriptRefused
from labpanel.jobs.models import Job
from labpanel.jobs.states import State
from labpanel.lib.io_fault import Access, IoFault, parse
from labpanel.moves.services.facts import troubles_of
from tests.fakes.backing_up import Scene
from tests.pages import factory
from tests.services.test_back_up import done, scene, store, vm

__all__ = ["scene", "store", "vm"]
PATH = "/srv/images/home.qcow2"
LOST = [[4096, 8192]]


def neighbour(host: Host) -> VM:
    """Another VM with its image on the file system of home's."""
    now = timezone.now()
    system = FileSystem.objects.create(host=host, mount_point="/srv/images", seen_at=now)
    VirtualDisk.objects.update(file_system=system)
    other = factory.make_vm(host, "web", disks=1)
    other.disks.update(file_system=system)
    return other


def one(kind: str) -> Finding:
    return Finding.objects.get(kind=kind, resolved_at=None)


def kinds() -> list[str]:
    return sorted(each.kind for each in open_findings())


def test_what_a_backup_cannot_read_names_file_and_range(scene: Scene, vm: VM, store: Store) -> None:
    other = neighbour(vm.host)
    scene.saved = {"unreadable": LOST}
    job = done(vm, store)
    assert job.state == State.FAILED
    found = one("image-error")
    assert found.sentence.startswith(
        f"alpha could not read bytes 4096–8191 of {PATH} (vda of home), at "
    )
    assert (found.about, found.severity, found.subject) == ("host", "bad", PATH)
    assert f"backup (job {job.pk})" in found.evidence[0]["source"]
    assert {each.name for each in found.vms.all()} == {"home", "web"}
    for touched in (vm, other):
        hold = held(touched)
        assert hold is not None
        assert "could not read bytes 4096–8191" in hold.reason


def test_a_plain_move_is_refused_and_the_restore_named(scene: Scene, vm: VM, store: Store) -> None:
    scene.saved = {"unreadable": LOST}
    done(vm, store)
    troubles = troubles_of(vm.host, vm)
    needs: Any = type("Needs", (), {"name": "home"})()
    told = [each for each in fit._suspect(needs, "alpha", troubles) if each.blocking]
    assert len(told) == 1
    assert "could not read bytes 4096–8191" in told[0].sentence
    assert "Restore the newest generation instead" in told[0].sentence


def test_it_ends_when_all_of_the_image_was_read_again(scene: Scene, vm: VM, store: Store) -> None:
    scene.saved = {"unreadable": LOST}
    done(vm, store)
    scene.saved = {"hinted": False}
    assert done(vm, store).state == State.DONE
    assert kinds() == []
    assert held(vm) is not None  # its owner releases it


def refusal(code: str, machine: str, **io: Any) -> ScriptRefused:
    return ScriptRefused(code, "It failed.", IoFault(**io), machine)


def test_a_store_that_cannot_be_written_is_told_from_a_broken_way(
    scene: Scene, vm: VM, store: Store
) -> None:
    """The server in between calls both an I/O error: the store is asked."""
    scene.fails["mover.back_up"] = refusal(
        "write", "alpha", access=Access.WRITE, number=errno.EIO, first=0, after=262144
    )
    scene.fails["keeper.look"] = Unreachable("beta is gone.")
    done(vm, store)
    assert kinds() == []
    del scene.fails["keeper.look"]
    done(vm, store)
    found = one("store-error")
    assert "could not write bytes 0–262143 of" in found.sentence
    assert "The store far (/srv/store on beta)" in found.sentence
    assert (found.about, found.where) == ("store", "beta")
    scene.fails.clear()


def test_a_full_store_is_no_evidence_against_its_drive(scene: Scene, vm: VM, store: Store) -> None:
    scene.fails["mover.back_up"] = refusal(
        "full", "alpha", access=Access.WRITE, number=errno.ENOSPC, first=0, after=262144
    )
    done(vm, store)
    assert not Finding.objects.filter(kind__in=("store-error", "image-error")).exists()


@pytest.mark.parametrize(
    ("machine", "path", "kind"),
    [
        ("beta", "/srv/store/x/vda.qcow2", "store-error"),
        ("alpha", "/srv/images/home.qcow2", "image-error"),
        ("alpha", "/srv/store/x", "image-error"),
        ("beta", "/etc/passwd", ""),
    ],
)
def test_a_file_that_a_machine_cannot_work_on(
    scene: Scene, vm: VM, store: Store, machine: str, path: str, kind: str
) -> None:
    scene.fails["keeper.finish"] = refusal(
        "os", machine, access=Access.UNKNOWN, number=errno.EIO, path=path
    )
    done(vm, store)
    found = Finding.objects.filter(kind__in=("store-error", "image-error"))
    assert [each.kind for each in found] == ([kind] if kind else [])
    assert all(path in each.sentence for each in found)


def test_the_parts_of_a_fault_are_closed_values() -> None:
    whole = {"access": "read", "errno": 5, "first": 0, "after": 4096}
    assert parse(whole) == IoFault(Access.READ, 5, "", 0, 4096)
    assert parse({**whole, "first": None, "after": None}) == IoFault(Access.READ, 5)
    odd: list[Any] = [
        None, 7, "read", [], {}, {**whole, "access": "melt"}, {**whole, "errno": "5"},
        {**whole, "errno": -1}, {**whole, "first": "x"}, {**whole, "after": -2},
        {**whole, "errno": True},
    ]  # fmt: skip
    assert [parse(each) for each in odd] == [None] * len(odd)
    assert IoFault(Access.READ, 5, "", 10, 10).spans == []
    assert not IoFault(Access.READ, errno.EACCES).is_hardware


def job_of(kind: str, **more: Any) -> Job:
    return Job.objects.create(kind=kind, title=kind, **more)


def test_work_on_an_image_that_is_being_made(vm: VM) -> None:
    """A restore or a move writes where no VM of the panel's lies yet."""
    place = HostImage(vm.host, "/srv/images/.new", "vda", "copy")
    with (
        pytest.raises(ScriptRefused),
        noted(job_of("restore"), read=None, write=place),
    ):
        raise refusal("write", "alpha", access=Access.WRITE, number=5, first=0, after=512)
    found = one("image-error")
    assert "alpha could not write bytes 0–511 of /srv/images/.new (vda of copy)" in found.sentence
    assert list(found.vms.all()) == []
    assert held(vm) is None


def test_a_store_of_the_panels_own_machine_without_a_host(vm: VM) -> None:
    local = Store.objects.create(
        name="here", path="/srv/here", store_id="11111111-2222-4333-8444-0000000000aa"
    )
    fault = IoFault(Access.READ, errno.EIO, "", 0, 512)
    note(job_of("verify"), fault, StoreFile(local, None, "k", "vda.qcow2"))
    assert not Finding.objects.exists()  # no host, no VM: the generation itself is damaged
    note(job_of("verify"), fault, StoreFile(local, vm, "k", "vda.qcow2"))
    assert "The store here (/srv/here on the panel’s machine)" in one("store-error").sentence
    remove_store(local)
    assert kinds() == []


def ended(vm: VM, store: Store, state: str, **more: Any) -> Job:
    job = job_of(
        "backup", state=state, sentence="The store far is full.",
        parameters={"vm_uuid": str(vm.uuid), "store": store.pk}, **more,
    )  # fmt: skip
    failed_work.note_ended(job.pk)
    return job


@pytest.mark.parametrize("state", [State.FAILED, State.ERRORED, State.LOST])
def test_a_backup_that_failed_is_a_finding_until_one_succeeds(
    vm: VM, store: Store, state: str
) -> None:
    ended(vm, store, state)
    found = one("backup-failed")
    assert found.sentence == "home was not backed up to far: The store far is full"
    assert (found.severity, found.about, found.until_seen) == ("watch", "vm", False)
    ended(vm, store, State.CANCELLED)
    other = factory.make_store(vm.host, "near")
    ended(vm, other, State.DONE)
    assert kinds() == ["backup-failed"]  # another store, and one that was called off
    ended(vm, store, State.DONE)
    assert kinds() == []


def test_one_finding_for_each_store_and_it_goes_with_the_vm(vm: VM, store: Store) -> None:
    other = factory.make_store(vm.host, "near")
    for place in (store, other, store):
        ended(vm, place, State.FAILED)
    assert kinds() == ["backup-failed", "backup-failed"]
    beta = Host.objects.get(name="beta")
    VM.objects.update(host=beta)
    ended(VM.objects.select_related("host").get(), store, State.FAILED)
    assert Finding.objects.filter(resolved_at=None).count() == 2
    remove_store(store)
    assert one("backup-failed").subject.endswith(" near")
    now = timezone.now()
    Host.objects.update(seen_at=now, libvirt_seen_at=now)
    VM.objects.update(missing_since=now - timedelta(hours=1))
    forget(VM.objects.select_related("host").get())
    assert kinds() == []


def test_who_removes_the_policy_waits_for_no_backup(vm: VM, store: Store) -> None:
    policy = factory.make_policy("nightly", is_default=True)
    ended(vm, store, State.FAILED, asked_by="policy nightly")
    assign(vm, policy)
    assert kinds() == ["backup-failed"]
    delete_policy(policy)
    assert kinds() == []
    ended(vm, store, State.FAILED, asked_by="olga")
    assign(vm, None)
    assert kinds() == ["backup-failed"]  # that one olga wanted


def test_a_rehearsal_that_failed_is_a_finding_until_one_passes(vm: VM, store: Store) -> None:
    kept = factory.make_generation(vm, store, timedelta(hours=1), "vda")

    def rehearsed(state: str) -> None:
        job = job_of(
            "rehearse", state=state, sentence="Nothing answered.",
            parameters={"generation": kept.key, "host": None},
        )  # fmt: skip
        failed_work.note_ended(job.pk)

    rehearsed(State.FAILED)
    assert one("rehearsal-failed").sentence == ("home was not rehearsed from far: Nothing answered")
    rehearsed(State.DONE)
    assert kinds() == []
    rehearsed(State.LOST)
    kept.delete()
    rehearsed(State.DONE)
    assert kinds() == ["rehearsal-failed"]
