"""Back up a VM: all its data disks at one instant, as one generation in a store.

What a settling needs is written down before the step that makes it needed: see settle.py.
"""

import contextlib
import secrets
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

from django.utils import timezone

from backups.models import InstantRun, Store
from backups.rules.backup import hints
from backups.rules.backup.left_out import sentence
from backups.selectors.copies.generations import backup_json
from backups.selectors.copies.parents import Parent, newest_of, parents_of
from backups.selectors.coverage.moved import last_moved
from backups.selectors.policies.exclusions import excluded_targets
from backups.selectors.stores.asides import asides, is_suspect, unsaved
from backups.services.backup import backup_result, checkpoints, open_disks
from backups.services.backup import manifest as describe
from backups.services.backup.copying import Copying
from backups.services.backup.keeping_beside import KeepingBeside
from backups.services.backup.note_marks import note_marks
from backups.services.backup.publishing import published
from backups.services.index import evidence
from backups.services.index.channels import job_machine
from backups.services.index.identity import panel_id
from backups.services.index.index_generation import Misplaced, index_generation
from backups.services.index.leftovers import drop_of_vm
from backups.services.index.partial import PartialGeneration
from hosts.models import VM
from hosts.selectors.two_hosts import held_back
from labpanel.adapters.errors import AdapterError
from labpanel.adapters.images.beside_host import BesideHost
from labpanel.adapters.images.image_host import ImageHost
from labpanel.adapters.images.mover import Mover
from labpanel.adapters.libvirt.hypervisor import opened
from labpanel.adapters.libvirt.uses.jobs import BacksUp
from labpanel.adapters.ssh.session import ScriptRefused
from labpanel.adapters.store.keeper import Keeper
from labpanel.jobs import ledger
from labpanel.jobs.models import Job
from labpanel.jobs.work import Failed, Work
from labpanel.lib.actor import PANEL, Actor
from labpanel.lib.io_fault import Access, IoFault
from labpanel.lib.quoted import ended, quoted
from labpanel.lib.refusal import Refusal
from labpanel.lib.store_format.found import AskedDisk, BegunDisk
from labpanel.lib.store_format.manifest import DiskEntry, Manifest
from labpanel.lib.units import count, size

# Of a long list the first are said in the job; the manifest has all.
_TOLD = 20


def ask_for_backup(
    vm: VM,
    store: Store,
    *,
    asked_by: Actor = PANEL,
    policy: str = "",
    deep: bool = False,
    freeze: bool = True,
    bytes_per_second: int | None = None,
) -> Job:
    """Open the job. `policy` is the name of the one that asks, `deep` reads everything whatever
    the bitmap says, `bytes_per_second` caps the copying. Raises Refusal or Busy before anything
    was changed."""
    if vm.missing_since is not None:
        raise Refusal(f"{vm.name} is missing since {vm.missing_since:%Y-%m-%d %H:%M} UTC.", 409)
    if why := held_back(vm):
        raise Refusal(f"{vm.name} is not backed up now. {why}", 409)
    borrowed = InstantRun.objects.select_related("generation").filter(vm_uuid=vm.uuid).first()
    if borrowed is not None:
        raise Refusal(
            f"{vm.name} still runs on blocks of generation {borrowed.generation.key}; it is backed "
            f"up when all of them are its own.",
            409,
        )
    return ledger.open_job(
        "backup",
        f"Back up {vm.name} to {store.name}",
        subject=f"vm:{vm.uuid}",
        lock_key=f"vm:{vm.uuid}",
        asked_by=asked_by,
        parameters={
            "vm_uuid": str(vm.uuid),
            "store": store.pk,
            "policy": policy,
            "deep": deep,
            "freeze": freeze,
            "bytes_per_second": bytes_per_second,
        },
    )


def back_up(work: Work) -> dict[str, Any]:
    """Do the job; its result is the generation as `backup --json` prints it."""
    vm = VM.objects.select_related("host").get(uuid=work.job.parameters["vm_uuid"])
    store = Store.objects.select_related("host").get(pk=work.job.parameters["store"])
    if why := held_back(vm):
        raise Failed(f"{vm.name} was not backed up. {why}")
    key = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
    work.owe(PartialGeneration(store.host_id, store.pk, str(vm.uuid), key))
    with contextlib.ExitStack() as stack:
        run = BackupRun(work, vm, store, key, stack)
        try:
            manifest = run.do()
        except AdapterError as error:
            raise run.explained(error) from error
    try:
        generation = index_generation(store, manifest)
    except Misplaced as error:
        work.no_longer_owes(PartialGeneration)
        raise Failed(f"Generation {key} was written, but {error}.") from error
    work.no_longer_owes(PartialGeneration)
    backup_result.judge(vm, generation, work.job)
    return {**backup_json(generation), "sentence": backup_result.sentence(generation)}


@dataclass(frozen=True, slots=True)
class Hands:
    """What works for one backup: three programs on two machines, and libvirt."""

    mover: Mover
    images: ImageHost
    keeper: Keeper
    hypervisor: BacksUp


class BackupRun:
    """One backup under way: the machines, and what stands open until the end."""

    def __init__(
        self, work: Work, vm: VM, store: Store, key: str, stack: contextlib.ExitStack
    ) -> None:
        self.work, self.vm, self.store, self.key, self.stack = work, vm, store, key, stack
        self.source = stack.enter_context(job_machine(work, vm.host))
        self.there = stack.enter_context(job_machine(work, store))
        # Short: libvirt’s folder with a name of 20 wide characters leaves 14 bytes of the 107.
        self.keeper: Keeper | None = None
        self.tag = f"lp{panel_id()[:4]}-{work.job.pk}"

    def do(self) -> Manifest:
        """From the first look to the finished manifest."""
        enter = self.stack.enter_context
        # Programs start on both machines while libvirt is asked.
        store_id = str(self.store.store_id)
        hands = Hands(
            enter(Mover(self.source)),
            enter(ImageHost(self.source)),
            enter(Keeper(self.there, self.store.path, panel_id(), store_id)),
            enter(opened(self.vm.host.endpoint())),
        )
        keeper, images, hypervisor = hands.keeper, hands.images, hands.hypervisor
        self.keeper = keeper
        leave_out = excluded_targets(self.vm, timezone.now())
        facts = open_disks.facts_of(hypervisor, str(self.vm.uuid), leave_out)
        sizes = facts.sized(hypervisor, images)
        self.work.line(f"{count(len(sizes), 'disk')}, {size(sum(sizes.values()))} in all.")
        parents = parents_of(self.store, facts.uuid)
        hands.mover.ready()
        keeper.lock(facts.uuid, exclusive=False)
        drop_of_vm(keeper, self.store, facts.uuid)
        with self._partial(keeper):
            begun = self._begin(keeper, facts.uuid, sizes, parents)
            beside = self._beside(keeper, facts.uuid)
            beside.boot_files(facts.inactive_xml or facts.xml)
            plan = self._plan(begun, parents)
            with checkpoints.turning(self.work, hypervisor, facts, self.store, plan):
                way = open_disks.opened_disks(self.work, hypervisor, images, facts, self.tag, plan)
                with way as disks:
                    self.work.line(_how(disks))
                    note_marks(self.vm, disks.images, timezone.now())
                    beside.states(facts.xml, active=facts.active)
                    copying = Copying(self.work, hands.mover, images, keeper, begun, parents)
                    entries = copying.all(facts, disks, sizes)
                return self._finish(keeper, facts, disks, entries, parents, beside)

    def _beside(self, keeper: Keeper, uuid: str) -> KeepingBeside:
        before = newest_of(self.store, uuid)
        host = BesideHost(self.source)
        return KeepingBeside(host, self.stack, keeper, uuid, self.key, before)

    def _begin(
        self, keeper: Keeper, uuid: str, sizes: dict[str, int], parents: dict[str, Parent]
    ) -> dict[str, BegunDisk]:
        asked = []
        for target, virtual in sizes.items():
            known = parents.get(target, Parent())
            parent = known.generation.key if known.generation else ""
            asked.append(AskedDisk(target, virtual, parent, known.root))
        return keeper.begin(uuid, self.key, asked)

    def _plan(
        self, begun: dict[str, BegunDisk], parents: dict[str, Parent]
    ) -> open_disks.SourcePlan:
        """What is asked of the source."""
        store_id, given = str(self.store.store_id), self.work.job.parameters
        kept = {}
        for target, made in begun.items():
            known = parents.get(target, Parent()).generation
            # An unsigned copy gives no hint: all of the disk is read then.
            trusted = known if known and known.trust == known.Trust.SIGNED else None
            found = hints.kept_of(trusted.manifest, target) if trusted and made.parent else None
            if found is not None:
                kept[target] = found
        return open_disks.SourcePlan(
            host=self.vm.host.name,
            host_key=self.vm.host.pk,
            key=self.key,
            kept=kept,
            checkpoint=hints.checkpoint_name(panel_id(), store_id, self.key),
            deep=bool(given.get("deep")),
            freeze=bool(given.get("freeze", True)),
            moved_at=last_moved(self.vm),
            asides=tuple(asides(self.vm)),
            suspect=is_suspect(self.vm),
            unsaved=unsaved(self.vm, timezone.now()),
        )

    @contextlib.contextmanager
    def _partial(self, keeper: Keeper) -> Any:
        """After any error the partial generation is removed; if the store cannot be reached
        any more, a later turn does it."""
        try:
            yield
        except BaseException:
            with contextlib.suppress(AdapterError):
                # Where there is none it may be complete: that a later turn asks.
                if keeper.drop(str(self.vm.uuid), self.key):
                    self.work.no_longer_owes(PartialGeneration)
            raise

    def _finish(
        self,
        keeper: Keeper,
        facts: open_disks.Facts,
        disks: open_disks.OpenDisks,
        entries: list[DiskEntry],
        parents: dict[str, Parent],
        beside: KeepingBeside,
    ) -> Manifest:
        taken = describe.Taken(self.vm, self.store, self.key, self.work.job.parameters)
        left_out = [*describe.left_out(facts, disks), *beside.left_out]
        manifest = describe.manifest(taken, facts, disks, entries, left_out)
        for one in left_out[:_TOLD]:
            self.work.line(sentence(one))
        self.work.check()
        self.work.line("Everything is copied; checking and hashing the files in the store.")
        texts = describe.texts(manifest, facts, disks, parents, beside.files)
        return published(keeper, facts.uuid, self.key, manifest, texts, beside.files)

    def explained(self, error: AdapterError) -> Failed:
        """Which connection or program failed, and what it means for the VM and the store."""
        vm, store, host = self.vm.name, self.store, self.vm.host.name
        where = store.host.name if store.host else "this machine"
        code = error.code if isinstance(error, ScriptRefused) else ""
        what = error.sentence
        if isinstance(error, ScriptRefused) and error.io is not None:
            self._note(error, error.io)
        if code == "full":
            what = f"The store {store.name} ({store.path} on {where}) is full."
        elif code in {"write", "stalled", "nbd"}:
            what = f"The connection from {host} to the store {store.name} on {where} was lost."
        elif code == "read":
            what = f"A disk of {vm} cannot be read on {host}: {quoted(error.sentence)}."
        after = f"{vm} was not touched, and no copy was made; try again when that is mended."
        return Failed(f"{ended(what)} {after}", f"{code} {error.detail}")

    def _note(self, error: ScriptRefused, fault: IoFault) -> None:
        """Where it was, by the machine that said so. A write goes to the store through a server on
        the source's host, which calls a broken way an I/O error too: so the store is asked."""
        kept = evidence.StoreFile(self.store, self.vm, self.key, "")
        if fault.access is Access.WRITE:
            evidence.note(self.work.job, fault, kept if self._store_answers() else None)
        elif fault.path and self._is_in_store(error, fault.path):
            evidence.note(self.work.job, fault, replace(kept, key="", file=fault.path))
        elif fault.path and error.machine == self.vm.host.name:
            image = evidence.HostImage(self.vm.host, fault.path, "", self.vm.name)
            evidence.note(self.work.job, fault, image)

    def _is_in_store(self, error: ScriptRefused, path: str) -> bool:
        there = error.machine == self.store.endpoint().name
        return there and PurePosixPath(path).is_relative_to(self.store.path)

    def _store_answers(self) -> bool:
        if self.keeper is None:
            return False
        try:
            self.keeper.look()
        except AdapterError:
            return False
        return True


def _how(disks: open_disks.OpenDisks) -> str:
    reason = f": {disks.note}" if disks.note else ""
    return f"The instant is {disks.taken_at:%H:%M:%S} UTC, {disks.consistency}{reason}."
