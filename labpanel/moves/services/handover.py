"""Where a VM belongs after a move that may have been cut anywhere, and making it so.

The rule: the destination runs the VM only when the source's libvirt itself says that it is gone
from there. A source that does not answer proves nothing: then nothing is started, nothing removed.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from labpanel.adapters.errors import AdapterError
from labpanel.adapters.libvirt.xml import move_xml
from labpanel.lib.vm_state import DomainState
from labpanel.moves.services.ends import Ends

ABORT_SECONDS = 40
RETRY_SECONDS = 0.5


class Whereabouts(StrEnum):
    """Where the VM is. UNKNOWN: not to be established now; both sides stay as they are."""

    SOURCE = "source"
    DESTINATION = "destination"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Handover:
    """All that a settling needs, written down before the first step.

    `made` are the files made at the destination, `left` those that stay at the source under
    another name; `runs` says whether it is to run in the end.
    """

    uuid: str
    name: str
    source: str
    destination: str
    token: str
    way: str
    made: list[str]
    left: list[str]
    suffix: str
    runs: bool
    autostart: bool


@dataclass(frozen=True, slots=True)
class HandoverOutcome:
    """`sentence` says where the VM is, and what is still to be done if anything is."""

    place: Whereabouts
    sentence: str


def resolve(ends: Ends, hand: Handover) -> HandoverOutcome:
    """Ask both hosts where the VM is and make that true and clean. Never raises for a host that
    does not answer."""
    try:
        source = _source_at_rest(ends, hand)
    except AdapterError as error:
        return HandoverOutcome(Whereabouts.UNKNOWN, _source_silent(ends, hand, error))
    try:
        there = ends.destination.libvirt.state(hand.uuid)
    except AdapterError as error:
        return HandoverOutcome(Whereabouts.UNKNOWN, _destination_silent(hand, source, error))
    if source.known and not source.left and there.active and not there.paused:
        return HandoverOutcome(Whereabouts.UNKNOWN, _twice(hand))
    if source.known and not (source.left and there.active):
        return _keep_source(ends, hand, source, there)
    if not there.known:
        return HandoverOutcome(Whereabouts.UNKNOWN, _nowhere(hand))
    notes = finish(ends, hand).notes
    return HandoverOutcome(
        Whereabouts.DESTINATION, " ".join([f"{hand.name} is on {hand.destination} now.", *notes])
    )


def _source_at_rest(ends: Ends, hand: Handover) -> DomainState:
    """The source's word once no migration is under way any more; an outgoing one is stopped."""
    until = time.monotonic() + ABORT_SECONDS
    while True:
        seen = ends.source.libvirt.state(hand.uuid)
        if not seen.active or ends.source.libvirt.job_stats(hand.uuid) is None:
            return ends.source.libvirt.state(hand.uuid)
        if time.monotonic() > until:
            raise AdapterError(f"The migration of {hand.name} does not stop on {hand.source}.")
        try:
            ends.source.libvirt.abort_move(hand.uuid)
        except AdapterError:
            pass  # it ended in between, or is past the point of aborting: the next look tells
        time.sleep(RETRY_SECONDS)


def _keep_source(
    ends: Ends, hand: Handover, source: DomainState, there: DomainState
) -> HandoverOutcome:
    """The VM stays where it was; what was begun at the destination goes."""
    clear_destination(ends, hand, there)
    if source.paused and hand.runs:
        ends.source.libvirt.resume(hand.uuid)
    state = "runs" if source.active and hand.runs else "is"
    return HandoverOutcome(Whereabouts.SOURCE, f"{hand.name} {state} on {hand.source} as before.")


def clear_destination(ends: Ends, hand: Handover, there: DomainState) -> None:
    """Remove the paused or shut-off copy and this move's own images, nothing else."""
    end = ends.destination
    if there.known and _is_the_copy(ends, hand):
        if there.active:
            end.libvirt.destroy(hand.uuid)
        if end.libvirt.state(hand.uuid).known:
            end.libvirt.undefine(hand.uuid)
    end.ground.remove(hand.token, hand.made)


def _is_the_copy(ends: Ends, hand: Handover) -> bool:
    """Whether the domain there lies on images that this move made."""
    said = ends.destination.libvirt.move_facts(hand.uuid)
    sources = {disk.source for disk in move_xml.needs(said.xml).disks if disk.source}
    return not sources or bool(sources & set(hand.made))


@dataclass(frozen=True, slots=True)
class Finished:
    """`resumed_at` is when it ran again, on the monotonic clock, None if it was not to run or ran
    already. `notes` say what could not be tidied up."""

    resumed_at: float | None
    notes: tuple[str, ...] = ()


def finish(ends: Ends, hand: Handover) -> Finished:
    """The source has let go: run at the destination. Each step may be done twice. Raises an
    AdapterError while it is not certain that it runs there."""
    source, destination = ends.source, ends.destination
    now = source.libvirt.state(hand.uuid)
    if now.active:
        raise AdapterError(f"{hand.name} still runs on {hand.source}.")
    if now.left:
        source.libvirt.undefine(hand.uuid)
    resumed = None
    if hand.runs and destination.libvirt.state(hand.uuid).paused:
        destination.libvirt.resume(hand.uuid)
        resumed = time.monotonic()
    return Finished(resumed, tuple(_tidy(ends, hand)))


def _tidy(ends: Ends, hand: Handover) -> Iterator[str]:
    """What does not matter to where the VM is: it is tried, and said if it could not be done."""
    destination, source = ends.destination, ends.source
    steps: dict[str, Callable[[], Any]] = {
        f"{hand.name} may not start with {hand.destination}": lambda: _set_autostart(ends, hand),
        f"The old images could not be renamed on {hand.source}": lambda: source.ground.aside(
            hand.left, hand.suffix
        ),
        "The new images keep the mark of this move": lambda: destination.ground.unmark(
            hand.token, hand.made
        ),
    }
    for trouble, step in steps.items():
        try:
            step()
        except AdapterError as error:
            yield f"{trouble}: {error.sentence}"


def _set_autostart(ends: Ends, hand: Handover) -> None:
    if hand.autostart:
        ends.destination.libvirt.set_autostart(hand.uuid, on=True)


def _source_silent(ends: Ends, hand: Handover, error: AdapterError) -> str:
    return (
        f"{hand.source} does not answer. {_copy_there(ends, hand)} Both sets of disks are kept; "
        f"it is settled as soon as {hand.source} answers. ({error.sentence})"
    )


def _copy_there(ends: Ends, hand: Handover) -> str:
    """What the destination has while the source is silent; it is never started on that."""
    try:
        there = ends.destination.libvirt.state(hand.uuid)
    except AdapterError:
        return f"Nor does {hand.destination}: where {hand.name} is cannot be established."
    if not there.known:
        return (
            f"{hand.name} had not arrived on {hand.destination}: it can only be on {hand.source}."
        )
    waits = "paused" if there.active else "off"
    return (
        f"Its copy on {hand.destination} stays {waits}, since {hand.name} may still run on "
        f"{hand.source}."
    )


def _destination_silent(hand: Handover, source: DomainState, error: AdapterError) -> str:
    """A source that libvirt left paused stays so: the copy may have been started by hand."""
    if source.known and not source.left:
        state = "is paused" if source.paused else "runs" if source.active else "is"
        return (
            f"{hand.name} {state} on {hand.source} as before. {hand.destination} does not answer; "
            f"what was begun there is removed as soon as it does. ({error.sentence})"
        )
    return (
        f"{hand.name} has left {hand.source} and waits on {hand.destination}, which does not "
        f"answer; it goes on there as soon as it does. ({error.sentence})"
    )


def _nowhere(hand: Handover) -> str:
    return (
        f"Neither host has {hand.name} any more. Its disks are kept: {', '.join(hand.left)} on "
        f"{hand.source}, {', '.join(hand.made)} on {hand.destination}."
    )


def _twice(hand: Handover) -> str:
    return (
        f"{hand.name} runs on {hand.destination} and is also known on {hand.source}: it was "
        f"started by hand. Nothing was touched; remove it from one of them."
    )
