"""A move that was begun: owed until both hosts have said where the VM is."""

import logging
from dataclasses import dataclass
from typing import ClassVar

from django.utils import timezone

from hosts.models import Host
from labpanel.adapters.errors import AdapterError
from labpanel.adapters.moving import tunnel
from labpanel.jobs import ledger
from labpanel.jobs.models import Job
from labpanel.jobs.obligations import StillOwed, must_be_alone
from labpanel.moves.services import ends as both
from labpanel.moves.services.arrived import arrived
from labpanel.moves.services.handover import Handover, HandoverOutcome, Whereabouts, resolve

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OpenMove:
    """`host` is the key of the source."""

    KIND: ClassVar[str] = "move"
    host: int
    hand: Handover

    def pay(self, job: Job) -> str:
        """Ask both where the VM is, and make that true and clean. A job that has ended says so."""
        must_be_alone(job, self.hand.name)
        outcome = _ask(self.hand)
        if outcome.place == Whereabouts.UNKNOWN:
            raise StillOwed(outcome.sentence)
        if job.is_final:
            Job.objects.filter(pk=job.pk).update(
                sentence=f"{outcome.sentence} Before: {job.sentence}"
            )
            ledger.add_line(job.pk, f"Settled: {outcome.sentence}")
        return outcome.sentence


def _ask(hand: Handover) -> HandoverOutcome:
    hosts = {
        host.name: host for host in Host.objects.filter(name__in=(hand.source, hand.destination))
    }
    if len(hosts) < 2:
        return HandoverOutcome(
            Whereabouts.UNKNOWN, f"{hand.source} or {hand.destination} was removed."
        )
    source, destination = hosts[hand.source].endpoint(), hosts[hand.destination].endpoint()
    try:
        with both.opened(source, destination, hand.token) as ends:
            outcome = resolve(ends, hand)
            tunnel.close(ends.source.ground, ends.destination.ground, hand.token)
    except AdapterError as error:
        log.info("move of %s cannot be settled yet: %s", hand.name, error.sentence)
        return HandoverOutcome(
            Whereabouts.UNKNOWN,
            f"Where {hand.name} is, cannot be established yet: {error.sentence} Both sets of "
            f"disks are kept.",
        )
    if outcome.place == Whereabouts.DESTINATION:
        arrived(hand, timezone.now())
    return outcome
