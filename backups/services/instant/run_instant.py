"""Run a VM from a generation within seconds: on empty overlays over the blocks in the store.

What is not local yet comes through the panel's tunnel when the guest asks for it, and is pulled in
behind (tend_instant.py). The row is written before anything is lent: from then on the generation
may not go, and a killed worker's traces can be found.
"""

import contextlib
import time
from dataclasses import replace
from functools import partial
from typing import Any

from django.db import transaction

from backups.models import Generation, InstantRun
from backups.services.index.channels import job_machine
from backups.services.index.note_made import note_made
from backups.services.instant.persistent_exports import InstantDisk, remote_backing_of
from backups.services.instant.settle import OpenInstant, abandon
from backups.services.restore.beside import beside_bytes
from backups.services.restore.pieces import Piece, RestoreStores, pieces_of
from backups.services.restore.placing import Places, choose_places
from backups.services.restore.stop_source import stop_source
from backups.services.restore.target import Prepared, RestoreTarget
from backups.services.restore.trouble import explained
from hosts.models import Host
from labpanel.adapters.errors import AdapterError
from labpanel.adapters.images import qemu_img
from labpanel.adapters.images.beside_host import BesideHost
from labpanel.adapters.images.image_host import ImageHost
from labpanel.adapters.libvirt.hypervisor import opened
from labpanel.adapters.libvirt.xml import instant_xml
from labpanel.adapters.libvirt.xml.restore_xml import NewIdentity
from labpanel.adapters.ssh.session import ScriptRefused
from labpanel.jobs.obligations import mark_paid
from labpanel.jobs.work import Work

_SHORT = 15


def run_instant(work: Work) -> dict[str, Any]:
    """Do the job: `{"vm", "uuid", "host", "generation", "disks", "started", "seconds"}`, seconds
    until the guest ran."""
    host = Host.objects.get(pk=work.job.parameters["host"])
    with contextlib.ExitStack() as stack:
        try:
            return StartingRun(work, stack, host).do()
        except ScriptRefused as refusal:
            raise explained(refusal, work, host) from refusal


class StartingRun:
    """One VM about to run."""

    def __init__(self, work: Work, stack: contextlib.ExitStack, host: Host) -> None:
        asked = work.job.parameters
        self.work, self.began = work, time.monotonic()
        self.generation = Generation.objects.select_related("store__host").get(
            key=asked["generation"]
        )
        self.there = stack.enter_context(job_machine(work, host))
        self.sources = RestoreStores(stack, work)
        self.pieces = pieces_of(asked["disks"])
        self.target = RestoreTarget(
            host,
            NewIdentity(asked["name"], asked["uuid"], asked["is_copy"]),
            stack.enter_context(ImageHost(self.there)),
            stack.enter_context(opened(host.endpoint())),
            partial(BesideHost, self.there),
            work,
        )

    def do(self) -> dict[str, Any]:
        target, work = self.target, self.work
        target.must_be_free()
        if self.generation.verified_at is None:
            work.line(
                f"Generation {self.generation.key} was never read back: each block is held against "
                "its digest when it is first read."
            )
        need = self.sources.content_bytes(self.pieces)
        need += beside_bytes(self.sources, self.generation)
        name = target.identity.name
        places = choose_places(
            self.pieces,
            need,
            target.host,
            name,
            work,
            target.images,
            target.pools(),
            image_format="qcow2",
        )
        formats = {piece.target: "qcow2" for piece in self.pieces}
        prepared = target.prepared(self.sources, self.generation, places, formats)
        with transaction.atomic():
            run = self._row(places, prepared.xml)
            work.owe(OpenInstant(target.host.pk, run.pk, target.identity.uuid, name))
        try:
            self._borrow(run, places, prepared)
            stopped = stop_source(work)
            target.start(f"{stopped} Nothing of {name} is left on {target.host.name}".lstrip())
        except BaseException:
            with contextlib.suppress(AdapterError):  # else a turn does it when the host is back
                for row, left in work.owes(OpenInstant):
                    abandon(left, work.job)
                    mark_paid(row)
            raise
        work.no_longer_owes(OpenInstant)
        return self._told(places, stopped)

    def _row(self, places: Places, xml: str) -> InstantRun:
        policies = instant_xml.policies(xml)
        links = [self._link(piece, places, policies) for piece in self.pieces]
        run = InstantRun.objects.create(
            vm_uuid=self.target.identity.uuid,
            vm_name=self.target.identity.name,
            host=self.target.host,
            generation=self.generation,
            job=self.work.job,
            links=[link.as_json() for link in links],
        )
        run.refresh_from_db()  # the UUID as a UUID
        return run

    def _link(
        self, piece: Piece, places: Places, policies: dict[str, dict[str, str]]
    ) -> InstantDisk:
        return InstantDisk(
            target=piece.target,
            path=places.paths[piece.target],
            total_bytes=piece.virtual_bytes,
            policies=policies.get(piece.target, {}),
        )

    def _borrow(self, run: InstantRun, places: Places, prepared: Prepared) -> None:
        remote = remote_backing_of(run)
        remote.open()
        made: list[str] = []
        for piece in self.pieces:
            path, socket = places.paths[piece.target], remote.backing.socket(piece.target)
            self.target.images.create(path, "qcow2", piece.virtual_bytes)
            # Only now is it ours: a file that came to this name meanwhile is never removed.
            made.append(path)
            for row, left in self.work.owes(OpenInstant):
                self.work.owe_more(row, replace(left, paths=tuple(made)))
            qemu_img.put_over(self.there, path, socket, piece.target, deadline=_SHORT)
        sockets = {piece.target: remote.backing.socket(piece.target) for piece in self.pieces}
        self.work.check()
        self.target.define(self.sources, prepared, instant_xml.borrowing(prepared.xml, sockets))
        made = [*made, *self.target.kept_until_removed]
        if said := note_made(self.work.job, self.target.host, self.target.images, made):
            self.work.line(said)

    def _told(self, places: Places, stopped: str) -> dict[str, Any]:
        name, host = self.target.identity.name, self.target.host.name
        seconds = time.monotonic() - self.began
        unproven = "" if self.generation.verified_at else ", which was never read back"
        return {
            "vm": name,
            "uuid": self.target.identity.uuid,
            "host": host,
            "generation": self.generation.key,
            "disks": [
                {"target": piece.target, "path": places.paths[piece.target], "from": piece.key}
                for piece in self.pieces
            ],
            "started": True,
            "seconds": round(seconds, 3),
            "sentence": (
                f"{name} runs on {host} on blocks of generation {self.generation.key}{unproven}; "
                f"they are pulled in behind it. {stopped}".rstrip()
            ),
        }
