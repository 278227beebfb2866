"""One new image beside an old one: a copy of it, then the blocks that differ, then held as a whole
against the generation's list of digests."""

import contextlib
from dataclasses import dataclass

from backups.services.index import evidence
from backups.services.index.meter import Meter
from backups.services.restore.pieces import Piece, RestoreStores
from hosts.models import Host
from labpanel.adapters.images.differ import Differ, Difference
from labpanel.adapters.images.image_host import ImageHost
from labpanel.adapters.images.mover import Export
from labpanel.adapters.images.replacer import Exchange, Replacer
from labpanel.adapters.ssh.machine import Machine
from labpanel.adapters.ssh.nbd_relay import relayed
from labpanel.jobs.work import Failed, Work
from labpanel.lib.units import size


@dataclass(frozen=True, slots=True)
class Filling:
    """What fills images on the machine `there`."""

    work: Work
    host: Host
    sources: RestoreStores
    there: Machine
    images: ImageHost
    replacer: Replacer
    differ: Differ

    def fill(self, piece: Piece, one: Exchange) -> Difference:
        """Make `one.new` what the piece holds; what it took. Raises Failed if it is not so."""
        into = evidence.HostImage(self.host, one.new, piece.target, piece.generation.vm_name)
        with evidence.noted(self.work.job, read=piece.kept, write=into):
            return self._fill(piece, one)

    def _fill(self, piece: Piece, one: Exchange) -> Difference:
        why_not = self.replacer.begin(one, piece.virtual_bytes)
        if why_not:
            self.work.line(
                f"{one.path} cannot be used ({why_not}); all of {piece.target} is copied."
            )
        sizes = {piece.target: piece.virtual_bytes}
        fetched = self._pass(piece, one, Meter(self.work, sizes, "comparing"), fetch=True)
        proven = self._pass(piece, one, Meter(self.work, sizes, "proving"), fetch=False)
        if proven.bad or {fetched.root, proven.root} != {piece.disk.root}:
            raise Failed(
                f"The new image of {piece.target} is not what was backed up, and was thrown away."
            )
        if one.format == "qcow2":
            self.images.check(one.new, one.format)
        self.work.line(
            f"{piece.target} is as in {piece.key}: {size(fetched.sent_bytes)} of "
            f"{size(piece.virtual_bytes)} came from the store."
        )
        return fetched

    def _pass(self, piece: Piece, one: Exchange, meter: Meter, *, fetch: bool) -> Difference:
        """One pass over the new image, opened anew, with the list from the store; to fetch, with
        the content too."""
        store, name = self.sources.of(piece.generation), piece.target
        on_progress = meter.of(piece.target)
        folder = self.images.sockets()
        target = Export(self.images.serve(name, one.new, one.format, writable=fetch), name)
        listed = self.sources.path(piece, piece.disk.list_file)
        served = [store.keeper.serve_list("list", listed)]
        with contextlib.ExitStack() as stack:
            lead = relayed(store.machine, self.there, served[0], folder)
            digests = Export(stack.enter_context(lead), "list")
            if fetch:
                served.append(self.sources.serve(piece))
                lead = relayed(store.machine, self.there, served[1], folder)
                source = Export(stack.enter_context(lead), name)
                done = self.differ.fetch(
                    target, digests, source, piece.virtual_bytes, on_progress=on_progress
                )
            else:
                done = self.differ.prove(
                    target, digests, piece.virtual_bytes, on_progress=on_progress
                )
        for socket in served:
            store.keeper.stop(socket)
        self.images.stop(target.socket)
        return done
