"""Run a VM from a generation within seconds: on empty overlays over the blocks in the store.

What is not local yet comes through the panel's tunnel when the guest asks for it, and is pulled in
behind (tend_instant.py). The row is written before anything is lent: from then on the generation
may not go, and a killed worker's traces can be found.
"""

import contextlib
import time
from typing import Any

from backups.models import Generation, InstantRun
from backups.services.loans import Link, line_of
from backups.services.placing import Places, choose_places
from backups.services.restore_pieces import Piece, Sources, pieces_of
from backups.services.restore_target import Target
from backups.services.restore_trouble import explained
from backups.services.settle_instant import abandon
from hosts.models import Host
from labpanel.adapters import instant_xml, qemu_img
from labpanel.adapters.errors import AdapterError
from labpanel.adapters.hypervisor import opened
from labpanel.adapters.image_host import ImageHost
from labpanel.adapters.nbd_relay import private_machine
from labpanel.adapters.restore_xml import Identity
from labpanel.adapters.script_session import ScriptRefused
from labpanel.jobs.work import Work

_SHORT = 15


def run_instant(work: Work) -> dict[str, Any]:
    """Do the job: `{"vm", "uuid", "host", "generation", "disks", "started", "seconds"}`, seconds
    until the guest ran."""
    host = Host.objects.get(pk=work.job.parameters["host"])
    with contextlib.ExitStack() as stack:
        try:
            return Instant(work, stack, host).do()
        except ScriptRefused as refusal:
            raise explained(refusal, work, host) from refusal


class Instant:
    """One VM about to run."""

    def __init__(self, work: Work, stack: contextlib.ExitStack, host: Host) -> None:
        asked, channel = work.job.parameters, f"job-{work.job.pk}"
        self.work, self.began = work, time.monotonic()
        self.generation = Generation.objects.select_related("store__host").get(
            key=asked["generation"]
        )
        self.there = stack.enter_context(private_machine(host.endpoint(), channel))
        self.sources = Sources(stack, channel)
        self.pieces = pieces_of(asked["disks"])
        self.target = Target(
            host,
            Identity(asked["name"], asked["uuid"], asked["is_copy"]),
            stack.enter_context(ImageHost(self.there)),
            stack.enter_context(opened(host.endpoint())),
            work,
        )

    def do(self) -> dict[str, Any]:
        target, work = self.target, self.work
        xml = self.sources.text(self.generation, "domain.xml")
        target.must_be_free()
        gone = target.lacks(xml)
        if self.generation.verified_at is None:
            work.line(f"Generation {self.generation.key} was never read back: it may not hold.")
        need = self.sources.content_bytes(self.pieces)
        name = target.identity.name
        places = choose_places(
            self.pieces, need, target.host, name, work, target.images, form="qcow2"
        )
        run = self._row(places, xml)
        work.remember(
            host=target.host.pk, uuid=target.identity.uuid, paths=list(places.paths.values())
        )
        try:
            self._borrow(run, places, xml, gone)
            target.start(f"Nothing of {name} is left on {target.host.name}: all was ready")
        except BaseException:
            with contextlib.suppress(AdapterError):  # the reaper or the next turn comes again
                abandon(run, work.job)
            raise
        return self._told(places)

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

    def _link(self, piece: Piece, places: Places, policies: dict[str, dict[str, str]]) -> Link:
        return Link(
            target=piece.target,
            path=places.paths[piece.target],
            image=self.sources.path(piece, piece.disk["file"]),
            total_bytes=piece.virtual_bytes,
            policies=policies.get(piece.target, {}),
        )

    def _borrow(self, run: InstantRun, places: Places, xml: str, gone: frozenset[str]) -> None:
        line = line_of(run)
        line.open()
        for piece in self.pieces:
            path, socket = places.paths[piece.target], line.loan.socket(piece.target)
            self.target.images.create(path, "qcow2", piece.virtual_bytes)
            qemu_img.put_over(self.there, path, socket, piece.target, deadline=_SHORT)
        fitted = self.target.fitted(self.sources, self.generation, xml, places, gone)
        sockets = {piece.target: line.loan.socket(piece.target) for piece in self.pieces}
        self.work.check()
        self.target.define(instant_xml.borrowing(fitted, sockets))

    def _told(self, places: Places) -> dict[str, Any]:
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
                f"they are pulled in behind it."
            ),
        }
