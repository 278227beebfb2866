"""Back up a VM: all its data disks at one instant, as one generation in a store.

What a settling needs is written down before the step that makes it needed: see settle.py.
"""

import contextlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.utils import timezone

from backups.models import InstantRun, Store
from backups.rules import hints
from backups.selectors.exclusions import excluded_targets
from backups.selectors.generations import backup_json
from backups.selectors.parents import Parent, parents_of
from backups.services import checkpoints, describe, outcome, reading
from backups.services.copying import Begun, Copying
from backups.services.identity import panel_id
from backups.services.index_generation import index_generation
from hosts.models import VM
from labpanel.adapters.errors import AdapterError
from labpanel.adapters.hypervisor import Hypervisor, opened
from labpanel.adapters.image_host import ImageHost
from labpanel.adapters.mover import Mover
from labpanel.adapters.nbd_relay import private_machine
from labpanel.adapters.script_session import ScriptRefused
from labpanel.adapters.store_keeper import Keeper
from labpanel.jobs import ledger
from labpanel.jobs.models import Job
from labpanel.jobs.work import Failed, Work
from labpanel.lib.refusal import Refusal
from labpanel.lib.units import count, size


def ask_for_backup(
    vm: VM,
    store: Store,
    *,
    asked_by: str = "",
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
    """Do the job; its result is design.md's shape of a generation."""
    vm = VM.objects.select_related("host").get(uuid=work.job.parameters["vm_uuid"])
    store = Store.objects.select_related("host").get(pk=work.job.parameters["store"])
    key = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
    work.remember(key=key, store=store.pk, host=vm.host.pk, vm_uuid=str(vm.uuid))
    with contextlib.ExitStack() as stack:
        run = Run(work, vm, store, key, stack)
        try:
            manifest = run.do()
        except AdapterError as error:
            raise run.explained(error) from error
    generation = index_generation(store, manifest)
    outcome.judge(vm, generation)
    return {**backup_json(generation), "sentence": outcome.sentence(generation)}


@dataclass(frozen=True, slots=True)
class Hands:
    """What works for one backup: three programs on two machines, and libvirt."""

    mover: Mover
    images: ImageHost
    keeper: Keeper
    hypervisor: Hypervisor


class Run:
    """One backup under way: the machines, and what stands open until the end."""

    def __init__(
        self, work: Work, vm: VM, store: Store, key: str, stack: contextlib.ExitStack
    ) -> None:
        self.work, self.vm, self.store, self.key, self.stack = work, vm, store, key, stack
        channel = f"job-{work.job.pk}"
        self.source = stack.enter_context(private_machine(vm.host.endpoint(), channel))
        self.there = stack.enter_context(private_machine(store.endpoint(), channel))
        # Short: libvirt’s folder with a name of 20 wide characters leaves 14 bytes of the 107.
        self.tag = f"lp{panel_id()[:4]}-{work.job.pk}"

    def do(self) -> dict[str, Any]:
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
        leave_out = excluded_targets(self.vm, timezone.now())
        facts = reading.facts_of(hypervisor, str(self.vm.uuid), leave_out)
        sizes = facts.sized(hypervisor, images)
        self.work.line(f"{count(len(sizes), 'disk')}, {size(sum(sizes.values()))} in all.")
        parents = parents_of(self.store, facts.uuid)
        hands.mover.ready()
        keeper.lock(facts.uuid, exclusive=False)
        with self._partial(keeper):
            begun = self._begin(keeper, facts.uuid, sizes, parents)
            plan = self._plan(begun, parents)
            with checkpoints.turning(self.work, hypervisor, facts, self.store, plan):
                way = reading.opened_disks(self.work, hypervisor, images, facts, self.tag, plan)
                with way as disks:
                    self.work.line(_how(disks))
                    copying = Copying(self.work, hands.mover, images, keeper, begun, parents)
                    entries = copying.all(facts, disks, sizes)
                return self._finish(hands, facts, disks, entries, parents)

    def _begin(
        self, keeper: Keeper, uuid: str, sizes: dict[str, int], parents: dict[str, Parent]
    ) -> dict[str, Begun]:
        asked = []
        for target, virtual in sizes.items():
            known = parents.get(target, Parent()).generation
            parent = known.key if known else None
            asked.append({"target": target, "virtual_bytes": virtual, "parent": parent})
        answer = keeper.begin(uuid, self.key, asked)
        return {target: Begun(**made) for target, made in answer.items()}

    def _plan(self, begun: dict[str, Begun], parents: dict[str, Parent]) -> reading.Plan:
        """What is asked of the source."""
        store_id, given = str(self.store.store_id), self.work.job.parameters
        kept = {}
        for target, made in begun.items():
            known = parents.get(target, Parent()).generation
            found = hints.kept_of(known.manifest, target) if known and made.parent else None
            if found is not None:
                kept[target] = found
        return reading.Plan(
            host=self.vm.host.name,
            kept=kept,
            checkpoint=hints.checkpoint_name(panel_id(), store_id, self.key),
            deep=bool(given.get("deep")),
            freeze=bool(given.get("freeze", True)),
        )

    @contextlib.contextmanager
    def _partial(self, keeper: Keeper) -> Any:
        """Whatever goes wrong, the half-done generation goes; if the store cannot be reached
        any more, a later look at it sweeps."""
        try:
            yield
        except BaseException:
            with contextlib.suppress(AdapterError):
                keeper.drop(str(self.vm.uuid), self.key)
            raise

    def _finish(
        self,
        hands: Hands,
        facts: reading.Facts,
        disks: reading.Opened,
        entries: list[dict[str, Any]],
        parents: dict[str, Parent],
    ) -> dict[str, Any]:
        taken = describe.Taken(self.vm, self.store, self.key, self.work.job.parameters)
        manifest = describe.manifest(taken, facts, disks, entries)
        self.work.check()
        self.work.line("Everything is copied; checking and hashing the files in the store.")
        texts = describe.texts(manifest, facts, disks, parents)
        nvram = manifest["nvram"]
        if nvram and hands.images.existing([nvram]):
            texts["nvram.fd"] = f"hex:{hands.images.read_file(nvram)}"
        return hands.keeper.finish(facts.uuid, self.key, manifest, texts)

    def explained(self, error: AdapterError) -> Failed:
        """What broke, to which thing, and what it means for the VM and the store."""
        vm, store, host = self.vm.name, self.store, self.vm.host.name
        where = store.host.name if store.host else "this machine"
        code = error.code if isinstance(error, ScriptRefused) else ""
        what = error.sentence
        if code == "full":
            what = f"The store {store.name} ({store.path} on {where}) is full."
        elif code in {"write", "stalled", "nbd"}:
            what = f"The way from {host} to the store {store.name} on {where} broke."
        elif code == "read":
            what = f"A disk of {vm} cannot be read on {host}: {error.sentence}"
        after = f"{vm} was not touched, nothing half-done counts; try again when that is mended."
        return Failed(f"{what} {after}", f"{code} {error.detail}")


def _how(disks: reading.Opened) -> str:
    reason = f" ({disks.note})" if disks.note else ""
    return f"The instant is {disks.taken_at:%H:%M:%S} UTC, {disks.consistency}{reason}."
