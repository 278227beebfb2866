"""Moves whose worker died, or whose hosts could not be asked: finding the truth later."""

import logging

from django.utils import timezone

from hosts.models import Host
from labpanel.adapters import tunnel
from labpanel.adapters.errors import AdapterError
from labpanel.jobs import ledger
from labpanel.jobs.models import Job
from labpanel.jobs.states import ACTIVE
from labpanel.lib.alone import alone
from labpanel.moves.selectors.unsettled import unsettled
from labpanel.moves.services import ends as both
from labpanel.moves.services.handover import Handover, Outcome, Place, resolve
from labpanel.moves.services.move import arrived

log = logging.getLogger(__name__)


def move(job: Job) -> str:
    """Settle a move whose worker died; the sentence that says where the VM is. Where that cannot
    be established now the job stays open for `settle_open`."""
    kept = job.state_data.get("handover")
    if kept is None:
        return "The worker died before anything was begun; the VM is where it was."
    outcome = _ask(Handover(**kept))
    _note(job, outcome)
    return f"The worker died in the middle. {outcome.sentence}"


def settle_open() -> list[Job]:
    """Ask again for every move that is still open; those that are settled now."""
    with alone("settle-moves") as mine:
        return [job for job in unsettled() if _settle(job)] if mine else []


def _settle(job: Job) -> bool:
    if Job.objects.filter(lock_key=job.lock_key, state__in=ACTIVE).exists():
        return False  # somebody is at work on this VM: later
    outcome = _ask(Handover(**job.state_data["handover"]))
    if outcome.place == Place.UNKNOWN:
        return False
    _note(job, outcome)
    Job.objects.filter(pk=job.pk).update(sentence=f"{outcome.sentence} Before: {job.sentence}")
    ledger.add_line(job.pk, f"Settled: {outcome.sentence}")
    return True


def _ask(hand: Handover) -> Outcome:
    hosts = {
        host.name: host for host in Host.objects.filter(name__in=(hand.source, hand.destination))
    }
    if len(hosts) < 2:
        return Outcome(Place.UNKNOWN, f"{hand.source} or {hand.destination} was removed.")
    source, destination = hosts[hand.source].endpoint(), hosts[hand.destination].endpoint()
    try:
        with both.opened(source, destination, hand.token) as ends:
            outcome = resolve(ends, hand)
            tunnel.close(ends.source.ground, ends.destination.ground, hand.token)
    except AdapterError as error:
        log.info("move of %s cannot be settled yet: %s", hand.name, error.sentence)
        return Outcome(
            Place.UNKNOWN,
            f"Where {hand.name} is, cannot be established yet: {error.sentence} Both sets of "
            f"disks are kept.",
        )
    if outcome.place == Place.DESTINATION:
        arrived(hand, timezone.now())
    return outcome


def _note(job: Job, outcome: Outcome) -> None:
    job.state_data = {**job.state_data, "open": outcome.place == Place.UNKNOWN}
    Job.objects.filter(pk=job.pk).update(state_data=job.state_data)
