"""Bring disks of generations back as a VM on a host of choice, never over a file that exists.

Disks are made under names of their own, filled with every digest checked on the way, and get their
final names only when all are whole. Until libvirt knows the VM nothing points at them. In place is
another matter: replace.py.
"""

import contextlib
from typing import Any

from backups.models import Generation
from backups.services.placing import Places, choose_places
from backups.services.replace import Replacement
from backups.services.restore_fill import Filled, fill
from backups.services.restore_pieces import Sources, pieces_of
from backups.services.restore_target import Target
from backups.services.restore_trouble import explained
from hosts.models import Host
from labpanel.adapters.hypervisor import opened
from labpanel.adapters.image_host import ImageHost
from labpanel.adapters.nbd_relay import private_machine
from labpanel.adapters.restore_xml import Identity
from labpanel.adapters.script_session import ScriptRefused
from labpanel.jobs.work import Work


def restore(work: Work) -> dict[str, Any]:
    """Do the job: `{"vm", "uuid", "host", "generation", "disks", "started", "bytes", "seconds"}`;
    `bytes` crossed from the stores in `seconds`, in place there is `kept_aside` as well."""
    with contextlib.ExitStack() as stack:
        host = Host.objects.get(pk=work.job.parameters["host"])
        try:
            if work.job.parameters["in_place"]:
                return Replacement(work, stack, host).do()
            return Run(work, stack, host).do()
        except ScriptRefused as refusal:
            raise explained(refusal, work, host) from refusal


class Run:
    """One restore under way."""

    def __init__(self, work: Work, stack: contextlib.ExitStack, host: Host) -> None:
        asked, channel = work.job.parameters, f"job-{work.job.pk}"
        self.work = work
        self.there = stack.enter_context(private_machine(host.endpoint(), channel))
        self.sources = Sources(stack, channel)
        self.pieces = pieces_of(asked["disks"])
        self.definition = Generation.objects.select_related("store__host").get(
            key=asked["definition"]
        )
        self.target = Target(
            host,
            Identity(asked["name"], asked["uuid"], asked["is_copy"]),
            stack.enter_context(ImageHost(self.there)),
            stack.enter_context(opened(host.endpoint())),
            work,
        )

    def do(self) -> dict[str, Any]:
        target = self.target
        xml = self.sources.text(self.definition, "domain.xml")
        target.must_be_free()
        gone = target.lacks(xml)
        places = self._places()
        try:
            filled = fill(self.work, self.sources, target.images, self.there, self.pieces, places)
            self._define(places, xml, gone)
            self.work.remember(closed=True)
        except BaseException:
            target.tidy(list(places.partials.values()))
            raise
        return self._start(places, filled)

    def _places(self) -> Places:
        need = self.sources.content_bytes(self.pieces)
        target = self.target
        places = choose_places(
            self.pieces, need, target.host, target.identity.name, self.work, target.images
        )
        self.work.remember(
            host=target.host.pk,
            uuid=target.identity.uuid,
            partials=list(places.partials.values()),
            paths=list(places.paths.values()),
        )
        return places

    def _define(self, places: Places, xml: str, gone: frozenset[str]) -> None:
        self.work.check()
        for name, path in places.paths.items():
            self.target.images.place(places.partials[name], path)
            self.target.placed.append(path)
        self.target.define(self.target.fitted(self.sources, self.definition, xml, places, gone))

    def _start(self, places: Places, filled: Filled) -> dict[str, Any]:
        name, host = self.target.identity.name, self.target.host.name
        started = bool(self.work.job.parameters["start"])
        if started:
            self.target.start(f"{name} is restored and defined on {host}")
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
            "sentence": f"{name} is restored to {host}{' and started' if started else ''}.",
        }
