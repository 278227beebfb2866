"""Moving a running VM with all its disks, without stopping it for longer than a moment."""

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from labpanel.adapters import hypervisor, move_xml, tunnel
from labpanel.adapters.errors import AdapterError
from labpanel.adapters.hypervisor import Hypervisor
from labpanel.jobs.work import Cancelled, Failed, Work
from labpanel.lib.shapes import Progress
from labpanel.moves.services.ends import Ends
from labpanel.moves.services.handover import Finished, Handover, Outcome, Place, finish, resolve
from labpanel.moves.services.plan import Plan

POLL_SECONDS = 0.5
STALLED_SECONDS = 60
# After an abort libvirt has this long to come back before its child is killed.
RETURN_SECONDS = 30
# The call ends by the watch below, not by its deadline.
_WHOLE_SECONDS = 7 * 86400


def move_live(work: Work, plan: Plan, ends: Ends, hand: Handover) -> dict[str, Any]:
    """Returns `{"downtime_ms", "verified"}`. Raises Failed or Cancelled with the VM where it was
    or, where that cannot be established, left for the settling."""
    assert plan.source is not None
    try:
        # It also opens the connection that lets the VM run again, which must not wait for that.
        if ends.destination.see(hand.uuid).known:
            raise Failed(f"{hand.destination} already has a VM with the UUID of {hand.name}.")
        make_images(plan, ends, hand)
        suspended_at, finished = _migrate(work, plan, ends, hand)
    except (AdapterError, Failed, Cancelled) as trouble:
        return _after_trouble(work, ends, hand, trouble)
    for note in finished.notes:
        work.line(note)
    return {"downtime_ms": _downtime(suspended_at, finished.resumed_at), "verified": False}


def make_images(plan: Plan, ends: Ends, hand: Handover) -> None:
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
    if outcome.place == Place.DESTINATION:
        return {"downtime_ms": None, "verified": False}
    if outcome.place == Place.SOURCE and isinstance(trouble, Cancelled):
        raise trouble
    raise broken_off(trouble, outcome)


def broken_off(trouble: AdapterError | Failed | Cancelled, outcome: Outcome) -> Failed:
    """First where the VM is, then why it did not move."""
    if isinstance(trouble, Cancelled):
        return Failed(f"Cancelled. {outcome.sentence}")
    why = trouble.sentence.rstrip(".")
    return Failed(f"{outcome.sentence} The move was broken off: {why}.", trouble.detail)


def settled(work: Work, ends: Ends, hand: Handover) -> Outcome:
    """Resolve; what stays open is written down for labpanel.moves.services.settle."""
    try:
        outcome = resolve(ends, hand)
    except AdapterError as error:
        outcome = Outcome(Place.UNKNOWN, f"Where {hand.name} is, is not settled: {error.sentence}")
    work.remember(open=outcome.place == Place.UNKNOWN)
    return outcome


def _migrate(work: Work, plan: Plan, ends: Ends, hand: Handover) -> tuple[float | None, Finished]:
    """Run libvirt's call in a child of its own, mind it, and let the destination run before
    anything is put away: the VM stands still. The moment the source stopped, and how it ended."""
    assert plan.source is not None and plan.chosen is not None
    said, paths = plan.source.said, plan.chosen.target.paths
    empty = {disk.target for disk in plan.needs.media if disk.source in plan.chosen.target.missing}
    with (
        tunnel.opened(ends.source.ground, ends.destination.ground, hand.token, hand.name) as ways,
        hypervisor.opened(ends.source.endpoint, tunnel.channel(hand.token)) as caller,
        _called(
            caller,
            uuid=hand.uuid,
            disks=[disk.target for disk in plan.disks],
            xml=move_xml.rewritten(said["portable_xml"], paths, empty),
            persistent_xml=move_xml.rewritten(said["inactive_xml"], paths, empty),
            **ways.uris,
        ) as call,
    ):
        _mind(work, ends, hand, call)
        return call.result(), finish(ends, hand)


@dataclass(slots=True)
class Call:
    """The migration under way in a thread; `answer` or `error` when it came back."""

    thread: threading.Thread
    answer: dict[str, Any] | None = None
    error: Exception | None = None

    def result(self) -> float | None:
        """When the source stopped. Raises what the call raised."""
        if isinstance(self.error, AdapterError):
            raise self.error
        if self.answer is None:
            raise AdapterError("The migration's answer was lost.", repr(self.error))
        at: float | None = self.answer["suspended_at"]
        return at


@contextlib.contextmanager
def _called(caller: Hypervisor, **arguments: Any) -> Iterator[Call]:
    """Start `migrate`; on leaving, a call that has not come back is killed with its child."""

    def run() -> None:
        try:
            call.answer = caller.call("migrate", deadline=_WHOLE_SECONDS, **arguments)
        except Exception as error:  # noqa: BLE001 - killing the child breaks the pipe under the call
            call.error = error

    call = Call(threading.Thread(target=run, daemon=True))
    call.thread.start()
    try:
        yield call
    finally:
        call.thread.join(0)
        caller.close()
        call.thread.join(5)


def _mind(work: Work, ends: Ends, hand: Handover, call: Call) -> None:
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
            raise Failed(f"Nothing moved for {STALLED_SECONDS} s.")


class _Meter:
    """What libvirt said last, and since when it has said the same."""

    def __init__(self) -> None:
        self.moved_at = time.monotonic()
        self.progress: Progress | None = None


def _look(ends: Ends, hand: Handover, meter: _Meter) -> None:
    try:
        stats = ends.source.call("job_stats", uuid=hand.uuid)
    except AdapterError:
        return  # a host that does not answer shows as nothing moving
    progress = progress_of(stats)
    if progress is not None and progress != meter.progress:
        meter.progress, meter.moved_at = progress, time.monotonic()


def progress_of(stats: dict[str, Any]) -> Progress | None:
    """libvirt's job statistics as progress: disks first, then memory."""
    total = stats.get("data_total", 0)
    if not total:
        return None
    disks_left = stats.get("disk_remaining", 0)
    return Progress(
        done_bytes=stats.get("data_processed", total - stats.get("data_remaining", 0)),
        total_bytes=total,
        bytes_per_second=stats.get("disk_bps" if disks_left else "memory_bps") or None,
        phase="copying disks" if disks_left else "copying memory",
    )


def _abort(ends: Ends, hand: Handover, call: Call) -> None:
    """Ask libvirt to stop, and give the call a moment to come back."""
    with contextlib.suppress(AdapterError):  # not reachable: the settling asks again
        ends.source.call("abort_move", uuid=hand.uuid)
        call.thread.join(RETURN_SECONDS)


def _downtime(suspended_at: float | None, resumed_at: float | None) -> int | None:
    """Milliseconds from the source's stop to the destination's run, on this machine's clock."""
    if suspended_at is None or resumed_at is None:
        return None
    return round((resumed_at - suspended_at) * 1000)
