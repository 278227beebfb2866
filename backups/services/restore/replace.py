"""Put disks of generations in the place of a VM's own, which are kept aside renamed.

Each new image is made beside the old one from a copy of it, gets the blocks that differ from the
store, and is held against the list of digests as a whole (replace_fill.py). Only when all are
proven they are swapped: `ready` is written down before, and from then on a settling goes forward.
"""

import contextlib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

from backups.services.index.channels import job_machine
from backups.services.restore.exchange import exchange
from backups.services.restore.pieces import Piece, RestoreStores, pieces_of
from backups.services.restore.replace_fill import Filling
from backups.services.restore.require_shut_off import standing_still
from backups.services.restore.settle import OpenReplacement
from hosts.models import VM, Host
from hosts.selectors.two_hosts import held_back
from labpanel.adapters.errors import AdapterError
from labpanel.adapters.images.differ import Differ, Difference
from labpanel.adapters.images.image_host import ImageHost
from labpanel.adapters.images.replacer import Exchange, Replacer
from labpanel.adapters.libvirt.hypervisor import opened
from labpanel.jobs.work import Failed, Work
from labpanel.lib.disks import SourceDisk
from labpanel.lib.kept_files import BOOT, NVRAM, TPM
from labpanel.lib.units import listed, size

_MARGIN_BYTES = 64 << 20


class Replacement:
    """One restore in place under way."""

    def __init__(self, work: Work, stack: contextlib.ExitStack, host: Host) -> None:
        enter = stack.enter_context
        self.work, self.host, self.uuid = work, host, str(work.job.parameters["uuid"])
        self.name = str(work.job.parameters["name"])
        self.there = enter(job_machine(work, host))
        self.sources = RestoreStores(stack, work)
        self.pieces = pieces_of(work.job.parameters["disks"])
        self.hypervisor = enter(opened(host.endpoint()))
        self.images = enter(ImageHost(self.there))
        self.replacer = enter(Replacer(self.there))
        self.filling = Filling(
            work,
            host,
            self.sources,
            self.there,
            self.images,
            self.replacer,
            enter(Differ(self.there)),
        )

    def do(self) -> dict[str, Any]:
        self._must_be_its_host()
        self._say_what_stays()
        self.filling.differ.ready()
        shut_down = bool(self.work.job.parameters.get("shut_down"))
        disks = standing_still(
            self.work, self.hypervisor, self.uuid, self.name, shut_down=shut_down
        )
        exchanges = self._exchanges(disks)
        self._must_have_room(exchanges)
        left = OpenReplacement(self.host.pk, self.uuid, self.name, tuple(exchanges))
        row = self.work.owe(left)
        try:
            done = [self.filling.fill(*pair) for pair in zip(self.pieces, exchanges, strict=True)]
            self.work.check()
            self._must_be_its_host()
            standing_still(self.work, self.hypervisor, self.uuid, self.name)
            self.work.owe_more(row, replace(left, ready=True))
        except BaseException:
            self._tidy(exchanges)
            raise
        asides = exchange(self.hypervisor, self.replacer, self.uuid, exchanges)
        self.work.no_longer_owes(OpenReplacement)
        return self._told(exchanges, done, asides)

    def _say_what_stays(self) -> None:
        """In place disks alone come back."""
        kept = {file.name for piece in self.pieces for file in piece.generation.manifest.files}
        if kept & {NVRAM, *TPM, *BOOT}:
            self.work.line(
                f"Only disks are put back: kernel, UEFI variables and TPM of {self.name} stay as "
                "they are now."
            )

    def _must_be_its_host(self) -> None:
        """The VM's content goes to no host that another one contradicts."""
        vm = VM.objects.filter(uuid=self.uuid).first()
        why = held_back(vm) if vm else ""
        if vm is not None and vm.host_id != self.host.pk:
            why = f"{self.name} is not on {self.host.name} any more; ask for it again."
        if why:
            raise Failed(f"{self.name} was not restored in place. {why}")

    def _exchanges(self, disks: dict[str, SourceDisk]) -> list[Exchange]:
        stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        return [self._exchange(piece, disks.get(piece.target), stamp) for piece in self.pieces]

    def _exchange(self, piece: Piece, disk: SourceDisk | None, stamp: str) -> Exchange:
        if disk is None or disk.kind != "file" or disk.format not in {"raw", "qcow2"}:
            raise Failed(
                f"{piece.target} of {self.name} is not an image file now, and only such are "
                f"replaced in place; restore {self.name} under a new name."
            )
        if disk.encrypted or disk.sliced:
            what = "encrypted" if disk.encrypted else "a part of a larger file (slices)"
            raise Failed(
                f"{piece.target} of {self.name} is {what} now, and no plain image takes its place; "
                f"restore {self.name} under a new name."
            )
        folder = PurePosixPath(disk.source).parent
        new = f"{folder}/.labpanel-{self.work.job.pk}-{piece.label}"
        aside = f"{disk.source}.replaced-{stamp}"
        taken = self.images.existing([aside, new])
        if taken:
            raise Failed(f"{taken[0]} exists already on {self.host.name}; try again in a moment.")
        return Exchange(piece.target, disk.format, disk.source, new, aside)

    def _must_have_room(self, exchanges: list[Exchange]) -> None:
        """The old images stay, so each folder needs room for the new ones beside them."""
        need: dict[str, int] = {}
        free: dict[str, int] = {}
        for piece, one in zip(self.pieces, exchanges, strict=True):
            folder = str(PurePosixPath(one.path).parent)
            taken, free[folder] = self.replacer.room(one.path)
            content = self.sources.content_bytes([piece])
            need[folder] = need.get(folder, _MARGIN_BYTES) + max(taken, content)
        short = [folder for folder in need if free[folder] < need[folder]]
        if short:
            raise Failed(
                f"{short[0]} on {self.host.name} has {size(free[short[0]])} free and needs "
                f"{size(need[short[0]])}, since the old images are kept; make room there."
            )

    def _tidy(self, exchanges: list[Exchange]) -> None:
        """Before `ready` nothing of the VM was touched: only what was made beside goes."""
        with contextlib.suppress(AdapterError):
            self.images.remove([one.new for one in exchanges])
            self.work.no_longer_owes(OpenReplacement)

    def _told(
        self, exchanges: list[Exchange], done: list[Difference], asides: list[str]
    ) -> dict[str, Any]:
        started = bool(self.work.job.parameters["start"])
        whole = f"{self.name} on {self.host.name} has its disks of the backup"
        if started:
            try:
                self.hypervisor.start(self.uuid)
            except AdapterError as error:
                raise Failed(
                    f"{whole}, but did not start: {error.sentence}", error.detail
                ) from error
        kept = f"; what it had is kept in {listed(asides)}" if asides else ""
        return {
            "vm": self.name,
            "uuid": self.uuid,
            "host": self.host.name,
            "generation": self.work.job.parameters["generation"],
            "disks": [
                {"target": piece.target, "path": one.path, "from": piece.key}
                for piece, one in zip(self.pieces, exchanges, strict=True)
            ],
            "kept_aside": asides,
            "started": started,
            "bytes": sum(one.sent_bytes for one in done),
            "seconds": round(sum(one.seconds for one in done), 3),
            "sentence": f"{whole}{' and is started' if started else ''}{kept}.",
        }
