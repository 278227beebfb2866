"""Moving a running VM with all its disks, without stopping it for longer than a moment."""

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from labpanel.adapters.errors import AdapterError
from labpanel.adapters.libvirt import hypervisor
from labpanel.adapters.libvirt.uses.moving import JobStats, Migrates, Route
from labpanel.adapters.moving import tunnel
from labpanel.jobs.work import Cancelled, Failed, Work
from labpanel.lib import tempo
from labpanel.lib.shapes import Progress
from labpanel.moves.services.ends import Ends
from labpanel.moves.services.handover import (
    Finished,
    Handover,
    HandoverOutcome,
    Whereabouts,
    finish,
    resolve,
)
from labpanel.moves.services.owed import OpenMove
from labpanel.moves.services.plan import MovePlan

POLL_SECONDS = 0.5
STALLED_SECONDS = tempo.NOW.move_stalled
# After an abort libvirt has this long to come back before its child is killed.
RETURN_SECONDS = 30


def move_live(work: Work, plan: MovePlan, ends: Ends, hand: Handover) -> dict[str, Any]:
    """Returns `{"downtime_ms", "verified"}`. Raises Failed or Cancelled with the VM where it was
    or, where that cannot be established, left for the settling."""
    assert plan.source is not None
    try:
        # It also opens the connection that lets the VM run again, which must not wait for that.
        if ends.destination.libvirt.state(hand.uuid).known:
            raise Failed(f"{hand.destination} already has a VM with the UUID of {hand.name}.")
        make_images(plan, ends, hand)
        suspended_at, finished = _migrate(work, plan, ends, hand)
    except (AdapterError, Failed, Cancelled) as trouble:
        return _after_trouble(work, ends, hand, trouble)
    for note in finished.notes:
        work.line(note)
    return {"downtime_ms": _downtime(suspended_at, finished.resumed_at), "verified": False}


def make_images(plan: MovePlan, ends: Ends, hand: Handover) -> None:
    """Empty images of exactly the same size; libvirt would copy into any file of that name."""
    chosen = plan.chosen
    assert chosen is not None
    for disk in plan.disks:
        path = chosen.target.paths[disk.source]
        ends.destination.ground.create(hand.token, path, disk.format, disk.capacity)


def _after_trouble(
    work: Work, ends: Ends, hand: Handover, trouble: AdapterError | Failed | Cancelled
) -> dict[str, Any]:
    """The answer may be lost: the hosts tell where the VM is."""
    if not isinstance(trouble, Cancelled):
        work.line(trouble.sentence)
    outcome = settled(work, ends, hand)
    if isinstance(trouble, Cancelled):
        work.line(outcome.sentence)
    if outcome.place == Whereabouts.DESTINATION:
        return {"downtime_ms": None, "verified": False}
    if outcome.place == Whereabouts.SOURCE and isinstance(trouble, Cancelled):
        raise trouble
    raise broken_off(trouble, outcome)


def broken_off(trouble: AdapterError | Failed | Cancelled, outcome: HandoverOutcome) -> Failed:
    """First where the VM is, then why it did not move."""
    if isinstance(trouble, Cancelled):
        return Failed(f"Cancelled. {outcome.sentence}")
    why = trouble.sentence.rstrip(".")
    return Failed(f"{outcome.sentence} The move was aborted: {why}.", trouble.detail)


def settled(work: Work, ends: Ends, hand: Handover) -> HandoverOutcome:
    """Resolve; what stays open is still owed."""
    try:
        outcome = resolve(ends, hand)
    except AdapterError as error:
        outcome = HandoverOutcome(
            Whereabouts.UNKNOWN, f"Where {hand.name} is, is not settled: {error.sentence}"
        )
    if outcome.place != Whereabouts.UNKNOWN:
        work.no_longer_owes(OpenMove)
    return outcome


def _migrate(
    work: Work, plan: MovePlan, ends: Ends, hand: Handover
) -> tuple[float | None, Finished]:
    """Run libvirt's call in a child of its own, mind it, and let the destination run before
    anything is put away: the VM stands still. The moment the source stopped, and how it ended."""
    assert plan.source is not None and plan.chosen is not None
    with (
        tunnel.opened(ends.source.ground, ends.destination.ground, hand.token, hand.name) as ways,
        hypervisor.opened(ends.source.endpoint, tunnel.channel(hand.token)) as caller,
        _called(caller, hand.uuid, ways.route, plan) as call,
    ):
        _mind(work, ends, hand, call)
        return call.result(), finish(ends, hand)


@dataclass(slots=True)
class MigrationCall:
    """The migration under way in a thread; `came_back` or `error` when it is through. `stopped_at`
    is when the source stopped, if libvirt told."""

    thread: threading.Thread
    came_back: bool = False
    stopped_at: float | None = None
    error: Exception | None = None

    def result(self) -> float | None:
        """When the source stopped. Raises what the call raised."""
        if isinstance(self.error, AdapterError):
            raise self.error
        if not self.came_back:
            raise AdapterError("The migration's answer was lost.", repr(self.error))
        return self.stopped_at


@contextlib.contextmanager
def _called(caller: Migrates, uuid: str, route: Route, plan: MovePlan) -> Iterator[MigrationCall]:
    """Start `migrate`; on leaving, a call that has not come back is killed with its child."""

    def run() -> None:
        try:
            call.stopped_at = caller.migrate(
                uuid,
                route,
                disks=[disk.target for disk in plan.disks],
                xml=plan.draft.portable,
                persistent_xml=plan.draft.persistent,
            )
            call.came_back = True
        except Exception as error:  # noqa: BLE001 - killing the child breaks the pipe under the call
            call.error = error

    call = MigrationCall(threading.Thread(target=run, daemon=True))
    call.thread.start()
    try:
        yield call
    finally:
        call.thread.join(0)
        caller.close()
        call.thread.join(5)


def _mind(work: Work, ends: Ends, hand: Handover, call: MigrationCall) -> None:
    """Watch progress; stop the migration when it is cancelled or nothing moves any more."""
    meter = _Meter()
    while call.thread.is_alive():
        call.thread.join(POLL_SECONDS)
        if not call.thread.is_alive():
            return
        try:
            work.check()
        except Cancelled:
            _abort(ends, hand, call)
            raise
        _look(ends, hand, meter)
        if meter.progress is not None:
            work.progress(meter.progress)
        if time.monotonic() - meter.moved_at > STALLED_SECONDS:
            _abort(ends, hand, call)
            raise Failed(f"Nothing moved for {STALLED_SECONDS:g} s.")


class _Meter:
    """What libvirt said last, and since when it has said the same."""

    def __init__(self) -> None:
        self.moved_at = time.monotonic()
        self.progress: Progress | None = None


def _look(ends: Ends, hand: Handover, meter: _Meter) -> None:
    try:
        stats = ends.source.libvirt.job_stats(hand.uuid)
    except AdapterError:
        return  # a host that does not answer shows as nothing moving
    progress = progress_of(stats)
    if progress is not None and progress != meter.progress:
        meter.progress, meter.moved_at = progress, time.monotonic()


def progress_of(stats: JobStats | None) -> Progress | None:
    """libvirt's job statistics as progress: disks first, then memory."""
    if stats is None or not stats.data_total:
        return None
    disks_left, done = stats.disk_remaining, stats.data_processed
    return Progress(
        done_bytes=stats.data_total - stats.data_remaining if done is None else done,
        total_bytes=stats.data_total,
        bytes_per_second=(stats.disk_bps if disks_left else stats.memory_bps) or None,
        phase="copying disks" if disks_left else "copying memory",
    )


def _abort(ends: Ends, hand: Handover, call: MigrationCall) -> None:
    """Ask libvirt to stop, and give the call a moment to come back."""
    with contextlib.suppress(AdapterError):  # not reachable: the settling asks again
        ends.source.libvirt.abort_move(hand.uuid)
        call.thread.join(RETURN_SECONDS)


def _downtime(suspended_at: float | None, resumed_at: float | None) -> int | None:
    """Milliseconds from the source's stop to the destination's run, on this machine's clock."""
    if suspended_at is None or resumed_at is None:
        return None
    return round((resumed_at - suspended_at) * 1000)
