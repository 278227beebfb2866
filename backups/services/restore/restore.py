"""Bring disks of generations back as a VM on a host of choice, never over a file that exists.

Disks are made under names of their own, filled with every digest checked on the way, and get their
final names only when all are whole. Until libvirt knows the VM nothing points at them. In place is
another matter: replace.py.
"""

import contextlib
from functools import partial
from typing import Any

from backups.models import Generation
from backups.services.index.channels import job_machine
from backups.services.index.note_made import note_made
from backups.services.restore.beside import beside_bytes
from backups.services.restore.fill import Filled, fill
from backups.services.restore.pieces import RestoreStores, pieces_of
from backups.services.restore.placing import Places, choose_places
from backups.services.restore.replace import Replacement
from backups.services.restore.settle import OpenRestore
from backups.services.restore.stop_source import stop_source
from backups.services.restore.target import Prepared, RestoreTarget
from backups.services.restore.trouble import explained
from hosts.models import Host
from labpanel.adapters.errors import AdapterError
from labpanel.adapters.images.beside_host import BesideHost
from labpanel.adapters.images.image_host import ImageHost
from labpanel.adapters.libvirt.hypervisor import opened
from labpanel.adapters.libvirt.xml.restore_xml import NewIdentity
from labpanel.adapters.ssh.session import ScriptRefused
from labpanel.jobs.work import Work


def restore(work: Work) -> dict[str, Any]:
    """Do the job: `{"vm", "uuid", "host", "generation", "disks", "started", "bytes", "seconds"}`;
    `bytes` crossed from the stores in `seconds`, in place there is `kept_aside` as well."""
    with contextlib.ExitStack() as stack:
        host = Host.objects.get(pk=work.job.parameters["host"])
        try:
            if work.job.parameters["in_place"]:
                return Replacement(work, stack, host).do()
            return RestoreRun(work, stack, host).do()
        except ScriptRefused as refusal:
            raise explained(refusal, work, host) from refusal


class RestoreRun:
    """One restore under way."""

    def __init__(self, work: Work, stack: contextlib.ExitStack, host: Host) -> None:
        asked = work.job.parameters
        self.work = work
        self.there = stack.enter_context(job_machine(work, host))
        self.sources = RestoreStores(stack, work)
        self.pieces = pieces_of(asked["disks"])
        self.definition = Generation.objects.select_related("store__host").get(
            key=asked["definition"]
        )
        self.target = RestoreTarget(
            host,
            NewIdentity(asked["name"], asked["uuid"], asked["is_copy"]),
            stack.enter_context(ImageHost(self.there)),
            stack.enter_context(opened(host.endpoint())),
            partial(BesideHost, self.there),
            work,
        )

    def do(self) -> dict[str, Any]:
        target = self.target
        target.must_be_free()
        places = self._places()
        formats = {piece.target: piece.format for piece in self.pieces}
        sealed = [piece.target for piece in self.pieces if piece.off_and_raw]
        prepared = target.prepared(self.sources, self.definition, places, formats, sealed)
        who, partials = target.identity, tuple(places.partials.values())
        paths = tuple(places.paths.values())
        self.work.owe(OpenRestore(target.host.pk, who.uuid, who.name, partials, paths))
        try:
            filled = fill(
                self.work, self.sources, target.images, self.there, self.pieces, places, target.host
            )
            self._define(places, prepared)
            self.work.no_longer_owes(OpenRestore)
        except BaseException:
            with contextlib.suppress(AdapterError):  # else a turn does it when the host is back
                target.tidy(partials)
                self.work.no_longer_owes(OpenRestore)
            raise
        return {**self._start(places, filled), "left_out": list(prepared.left_out)}

    def _places(self) -> Places:
        need = self.sources.content_bytes(self.pieces)
        need += beside_bytes(self.sources, self.definition)
        target = self.target
        name = target.identity.name
        return choose_places(
            self.pieces, need, target.host, name, self.work, target.images, target.pools()
        )

    def _define(self, places: Places, prepared: Prepared) -> None:
        self.work.check()
        for name, path in places.paths.items():
            self.target.images.place(places.partials[name], path)
            self.target.placed.append(path)
        self.target.define(self.sources, prepared)
        made = [*places.paths.values(), *self.target.kept_until_removed]
        if said := note_made(self.work.job, self.target.host, self.target.images, made):
            self.work.line(said)

    def _start(self, places: Places, filled: Filled) -> dict[str, Any]:
        name, host = self.target.identity.name, self.target.host.name
        started, stopped = bool(self.work.job.parameters["start"]), ""
        if started:
            stopped = stop_source(self.work)
            self.target.start(f"{stopped} {name} is restored and defined on {host}".lstrip())
        return {
            "vm": name,
            "uuid": self.target.identity.uuid,
            "host": host,
            "generation": self.work.job.parameters["generation"],
            "disks": [
                {"target": piece.target, "path": places.paths[piece.target], "from": piece.key}
                for piece in self.pieces
            ],
            "started": started,
            "bytes": filled.bytes,
            "seconds": round(filled.seconds, 3),
            "sentence": (
                f"{name} is restored to {host}{' and started' if started else ''}. {stopped}"
            ).rstrip(),
        }
