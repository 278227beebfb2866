"""Back up a VM: all its data disks at one instant, as one generation in a store.

What a settling needs is written down before the step that makes it needed: see settle.py.
"""

import contextlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.utils import timezone

from backups.models import Generation, Store
from backups.rules import hints
from backups.selectors.exclusions import excluded_targets
from backups.selectors.generations import backup_json
from backups.services import checkpoints, reading, recover_text
from backups.services.identity import panel_id
from backups.services.index_generation import index_generation
from backups.services.meter import Meter
from hosts.models import VM
from labpanel.adapters import backup_xml
from labpanel.adapters.errors import AdapterError
from labpanel.adapters.hypervisor import Hypervisor, opened
from labpanel.adapters.image_host import ImageHost
from labpanel.adapters.mover import Export, Moved, Mover
from labpanel.adapters.nbd_relay import private_machine, relayed
from labpanel.adapters.script_session import ScriptRefused
from labpanel.adapters.store_keeper import Keeper
from labpanel.jobs import ledger
from labpanel.jobs.models import Job
from labpanel.jobs.work import Failed, Work
from labpanel.lib.refusal import Refusal
from labpanel.lib.units import count, size

BLOCK_BYTES = 256 * 1024
FORMAT = 1


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
    return {**backup_json(generation), "sentence": _sentence(generation)}


def _sentence(generation: Generation) -> str:
    disks = count(generation.disks.count(), "disk")
    return (
        f"{generation.vm_name} is backed up to {generation.store.name}: "
        f"{disks}, {generation.consistency}, generation {generation.key}."
    )


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
        asked = [{"target": key, "virtual_bytes": value} for key, value in sizes.items()]
        hands.mover.ready()
        plan = self._plan()
        turning = checkpoints.turning(self.work, hypervisor, facts, self.store, plan)
        with self._partial(keeper), turning:
            files = keeper.begin(facts.uuid, self.key, asked)
            way = reading.opened_disks(self.work, hypervisor, images, facts, self.tag, plan)
            with way as disks:
                self.work.line(_how(disks))
                moved = self._copy_all(hands, facts, disks, files, sizes)
            return self._finish(hands, facts, disks, moved)

    def _plan(self) -> reading.Plan:
        """What is asked of the source."""
        store_id, given = str(self.store.store_id), self.work.job.parameters
        return reading.Plan(
            host=self.vm.host.name,
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

    def _copy_all(
        self,
        hands: Hands,
        facts: reading.Facts,
        disks: reading.Opened,
        files: dict[str, str],
        sizes: dict[str, int],
    ) -> dict[str, Moved]:
        meter = Meter(self.work, sizes, "copying")
        meter.also(disks.look)
        keeper, images = hands.keeper, hands.images
        moved = {}
        for target, source in disks.exports.items():
            stored = keeper.serve_bytes(target, files[target])
            with relayed(self.there, self.source, stored, images.sockets()) as near:
                packing = images.serve_compressing(target, near, target)
                moved[target] = hands.mover.copy(
                    source, Export(packing, target), watch=disks.watch, told=meter.of(target)
                )
                images.stop(packing)
            keeper.stop(stored)
        return moved

    def _finish(
        self,
        hands: Hands,
        facts: reading.Facts,
        disks: reading.Opened,
        moved: dict[str, Moved],
    ) -> dict[str, Any]:
        uuid = facts.uuid
        entries = []
        for disk in facts.disks:
            done = moved[disk.target]
            digests = hands.keeper.put_digests(
                uuid, self.key, disk.target, done.virtual_bytes, done.digests
            )
            entries.append(
                {
                    "target": disk.target,
                    "source": disk.source,
                    "source_format": disk.format,
                    "mode": "full",
                    "virtual_bytes": done.virtual_bytes,
                    "read_bytes": done.read_bytes,
                    "copied_bytes": done.written_bytes,
                    "seconds": done.seconds,
                    "file": f"{disk.target}.qcow2",
                    "digests": digests,
                    "root": done.root,
                }
            )
        manifest = self._manifest(facts, disks, entries)
        self.work.check()
        self.work.line("Everything is copied; checking and hashing the files in the store.")
        texts = {
            "domain.xml": backup_xml.definition(facts.xml, facts.inactive_xml, list(moved)),
            "RECOVER.txt": recover_text.write(manifest),
        }
        nvram = backup_xml.nvram_path(facts.xml)
        if nvram and hands.images.existing([nvram]):
            texts["nvram.fd"] = f"hex:{hands.images.read_file(nvram)}"
        return hands.keeper.finish(uuid, self.key, manifest, texts)

    def _manifest(
        self, facts: reading.Facts, disks: reading.Opened, entries: list[dict[str, Any]]
    ) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "generation": self.key,
            "parent": None,
            "vm": {"uuid": facts.uuid, "name": facts.name},
            "host": self.vm.host.name,
            "store_id": str(self.store.store_id),
            "panel_id": panel_id(),
            "taken_at": disks.taken_at.isoformat(),
            "consistency": disks.consistency,
            "not_quiesced": disks.note,
            "nvram": backup_xml.nvram_path(facts.xml),
            "libvirt": facts.libvirt,
            "qemu": facts.qemu,
            "block_bytes": BLOCK_BYTES,
            "disks": entries,
        }

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
