"""Bring a generation back as a VM on a host of choice, never over a file that exists.

Disks are made under names of their own, filled with every digest checked on the way, and get their
final names only when all are whole. Until libvirt knows the VM nothing points at them.
"""

import contextlib
import hashlib
import secrets
import uuid as uuids
from dataclasses import dataclass, field
from typing import Any

from backups.models import Generation
from backups.rules.naming import free_name, wrong_name
from backups.services.identity import panel_id
from backups.services.meter import Meter
from backups.services.placing import Places, choose_places
from hosts.models import VM, Host
from labpanel.adapters import restore_xml
from labpanel.adapters.errors import AdapterError
from labpanel.adapters.hypervisor import Hypervisor, opened
from labpanel.adapters.image_host import ImageHost
from labpanel.adapters.mover import Export, Mover
from labpanel.adapters.nbd_relay import private_machine, relayed
from labpanel.adapters.restore_xml import Identity
from labpanel.adapters.script_session import ScriptRefused
from labpanel.adapters.store_keeper import Keeper
from labpanel.jobs import ledger
from labpanel.jobs.models import Job
from labpanel.jobs.work import Failed, Work
from labpanel.lib.refusal import Refusal

_NVRAM = "/var/lib/libvirt/qemu/nvram"
# libvirt may probe QEMU anew before it defines (16 s seen under plain emulation).
_DEFINE_SECONDS = 120
_START_SECONDS = 60


def ask_for_restore(
    generation: Generation,
    host: Host,
    *,
    name: str = "",
    start: bool = False,
    path: str = "",
    asked_by: str = "",
) -> Job:
    """Open the job. Raises Refusal or Busy before anything was changed."""
    if generation.state != Generation.State.COMPLETE:
        raise Refusal(f"{generation.key} cannot be restored: {generation.damage}", 409)
    living = VM.objects.filter(missing_since=None)
    same = living.filter(uuid=generation.vm_uuid).exists()
    is_copy = same or name not in {"", generation.vm_name}
    names = set(living.filter(host=host).values_list("name", flat=True))
    if not name:
        name = free_name(generation.vm_name, names) if is_copy else generation.vm_name
    problem = wrong_name(name)
    if problem:
        raise Refusal(problem)
    if name in names:
        raise Refusal(f"There already is a VM {name} on {host.name}; choose another name.", 409)
    if path and not path.startswith("/"):
        raise Refusal(f"{path} is not an absolute path.")
    vm_uuid = str(uuids.uuid4()) if is_copy else str(generation.vm_uuid)
    return ledger.open_job(
        "restore",
        f"Restore {generation.vm_name} of {generation.key} to {host.name} as {name}",
        subject=f"vm:{vm_uuid}",
        lock_key=f"vm:{vm_uuid}" if not is_copy else f"name:{host.pk}:{secrets.token_hex(4)}",
        asked_by=asked_by,
        parameters={
            "generation": generation.key,
            "host": host.pk,
            "name": name,
            "uuid": vm_uuid,
            "is_copy": is_copy,
            "start": start,
            "path": path,
        },
    )


def restore(work: Work) -> dict[str, Any]:
    """Do the job: `{"vm", "uuid", "host", "generation", "disks", "started"}`."""
    with contextlib.ExitStack() as stack:
        run = Run(work, stack)
        try:
            return run.do()
        except ScriptRefused as refusal:
            raise run.explained(refusal) from refusal


@dataclass(frozen=True, slots=True)
class Target:
    """What a restore needs of the target host while it runs."""

    images: ImageHost
    hypervisor: Hypervisor
    placed: list[str] = field(default_factory=list)


class Run:
    """One restore under way."""

    def __init__(self, work: Work, stack: contextlib.ExitStack) -> None:
        asked = work.job.parameters
        self.work, self.stack = work, stack
        self.generation = Generation.objects.select_related("store__host").get(
            key=asked["generation"]
        )
        self.host = Host.objects.get(pk=asked["host"])
        self.identity = Identity(asked["name"], asked["uuid"], asked["is_copy"])
        channel = f"job-{work.job.pk}"
        here, there = self.generation.store.endpoint(), self.host.endpoint()
        self.here = stack.enter_context(private_machine(here, channel))
        self.there = stack.enter_context(private_machine(there, channel))

    def do(self) -> dict[str, Any]:
        enter, store = self.stack.enter_context, self.generation.store
        target = Target(enter(ImageHost(self.there)), enter(opened(self.host.endpoint())))
        keeper = enter(Keeper(self.here, store.path, panel_id(), str(store.store_id)))
        xml = self._text(keeper, "domain.xml")
        self._must_be_free(target.hypervisor)
        gone = self._fit(target, xml)
        places = choose_places(
            self.generation, self.host, self.identity.name, self.work, target.images
        )
        self.work.remember(
            host=self.host.pk,
            uuid=self.identity.uuid,
            partials=list(places.partials.values()),
            paths=list(places.paths.values()),
        )
        try:
            self._fill(keeper, target, places)
            self._define(keeper, target, places, xml, gone)
            self.work.remember(closed=True)
        except BaseException:
            self._tidy(target, places)
            raise
        return self._start(target, places)

    def _text(self, keeper: Keeper, name: str) -> str:
        """A file of the generation, held against the manifest."""
        generation = self.generation
        text = keeper.read_text(str(generation.vm_uuid), generation.key, name)
        content = bytes.fromhex(text[4:]) if text.startswith("hex:") else text.encode()
        if hashlib.sha256(content).hexdigest() != generation.manifest["files"].get(name):
            raise Failed(f"{name} of generation {generation.key} is not what was written.")
        return content.hex() if name == "nvram.fd" else text

    def _must_be_free(self, hypervisor: Hypervisor) -> None:
        name, host = self.identity.name, self.host.name
        if hypervisor.call("uuid_of", deadline=15, called=name):
            raise Failed(f"There already is a VM {name} on {host}; choose another name.")
        if hypervisor.call("state", deadline=15, uuid=self.identity.uuid)["known"]:
            raise Failed(f"{host} already knows a VM with the UUID of {name}; give a new name.")

    def _fit(self, target: Target, xml: str) -> frozenset[str]:
        """Refuse what the host lacks, all at once; media and logs that it lacks can be left out."""
        needs = restore_xml.needs(xml)
        networks = needs.networks - set(target.hypervisor.call("networks", deadline=15))
        bridges = needs.bridges - set(target.images.interfaces())
        files = needs.files - set(target.images.existing(sorted(needs.files)))
        lacking = [
            *(f"the network {name}" for name in sorted(networks)),
            *(f"the bridge {name}" for name in sorted(bridges)),
            *(f"the file {name}" for name in sorted(files)),
        ]
        if lacking:
            raise Failed(f"{self.host.name} lacks {', '.join(lacking)}; make that first.")
        media = needs.media - set(target.images.existing(sorted(needs.media)))
        folders = {path: path.rpartition("/")[0] for path in needs.logs}
        there = set(target.images.existing(sorted(set(folders.values()))))
        gone = media | {path for path, folder in folders.items() if folder not in there}
        for path in sorted(gone):
            self.work.line(f"{path} is not on {self.host.name} and is left out.")
        return gone

    def _fill(self, keeper: Keeper, target: Target, places: Places) -> None:
        disks = self.generation.manifest["disks"]
        meter = Meter(
            self.work, {disk["target"]: disk["virtual_bytes"] for disk in disks}, "restoring"
        )
        mover = self.stack.enter_context(Mover(self.here))
        folder = self.stack.enter_context(ImageHost(self.here)).sockets()
        for disk in disks:
            self._fill_one(
                keeper, mover, target, disk, places.partials[disk["target"]], meter, folder
            )

    def _fill_one(
        self,
        keeper: Keeper,
        mover: Mover,
        target: Target,
        disk: dict[str, Any],
        partial: str,
        meter: Meter,
        folder: str,
    ) -> None:
        name, form = disk["target"], disk["source_format"]
        uuid, key = str(self.generation.vm_uuid), self.generation.key
        target.images.create(partial, form, disk["virtual_bytes"])
        socket = target.images.serve(name, partial, form, writable=True)
        near = keeper.serve(name, keeper.path_of(uuid, key, disk["file"]))
        with relayed(self.there, self.here, socket, folder) as far:
            moved = mover.restore(
                Export(near, name),
                Export(far, name),
                keeper.path_of(uuid, key, disk["digests"]["file"]),
                told=meter.of(name),
            )
        if moved.root != disk["root"]:
            raise Failed(f"The digests of {name} in {key} are not those of its manifest.")
        keeper.stop(near)
        target.images.stop(socket)
        if form == "qcow2":
            target.images.check(partial, form)
        self.work.line(f"{name} is restored, every block as it was backed up.")

    def _define(
        self, keeper: Keeper, target: Target, places: Places, xml: str, gone: frozenset[str]
    ) -> None:
        self.work.check()
        for name, path in places.paths.items():
            target.images.place(places.partials[name], path)
            target.placed.append(path)
        nvram = ""
        if "nvram.fd" in self.generation.manifest["files"]:
            nvram = f"{_NVRAM}/{places.stem}-{self.identity.uuid[:8]}_VARS.fd"
            target.images.write_file(nvram, self._text(keeper, "nvram.fd"))
            target.placed.append(nvram)
        fitted = restore_xml.fitted(xml, self.identity, places.paths, gone=gone, nvram=nvram)
        target.hypervisor.call("define", deadline=_DEFINE_SECONDS, xml=fitted)
        self.work.line(f"{self.identity.name} is defined on {self.host.name}.")

    def _tidy(self, target: Target, places: Places) -> None:
        """Remove what this run made; nothing points at it."""
        with contextlib.suppress(AdapterError):
            known = target.hypervisor.call("state", deadline=15, uuid=self.identity.uuid)["known"]
            target.images.remove([*places.partials.values(), *([] if known else target.placed)])
            self.work.remember(closed=True)

    def _start(self, target: Target, places: Places) -> dict[str, Any]:
        name, host, started = self.identity.name, self.host.name, False
        if self.work.job.parameters["start"]:
            try:
                target.hypervisor.call("start", deadline=_START_SECONDS, uuid=self.identity.uuid)
            except AdapterError as error:
                raise Failed(
                    f"{name} is restored and defined on {host}, but did not start: "
                    f"{error.sentence}",
                    error.detail,
                ) from error
            started = True
        return {
            "vm": name,
            "uuid": self.identity.uuid,
            "host": host,
            "generation": self.generation.key,
            "disks": [{"target": key, "path": path} for key, path in places.paths.items()],
            "started": started,
            "sentence": f"{name} is restored to {host}{' and started' if started else ''}.",
        }

    def explained(self, error: ScriptRefused) -> Failed:
        """What broke, to which thing, and what it means."""
        store, name, host = self.generation.store.name, self.identity.name, self.host.name
        what = error.sentence
        if error.code in {"digest", "read"}:
            what = f"Generation {self.generation.key} in {store} is damaged: {error.sentence}"
        elif error.code == "full":
            what = f"{host} has no room left for {name}'s disks."
        elif error.code in {"write", "stalled", "nbd"}:
            what = f"The way from the store {store} to {host} broke."
        return Failed(
            f"{what} Nothing of {name} was left on {host}.", f"{error.code} {error.detail}"
        )
