"""Whether the wall clock can be believed: it is held against the time since boot. Pure.

Both clocks are slewed alike by time servers, so between two looks within one boot they differ only
when a person or a program sets the wall clock. Over a reboot only the newest time that was ever
seen is known, and that time does not go back.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from labpanel.lib.durations import span

# What time servers correct at once after a start without a battery-backed clock that is well kept.
TOLERANCE = 300.0
# Beats and leases count in seconds: a smaller step than this changes nothing for them.
STEP = 5.0
# A machine that was off has no other witness. A copy that goes a day early is not one that was lost
# to a clock; more than that asks for a time server or for the owner.
OFF = 86_400.0
# A time server that still agrees after so long is believed although the clock jumped.
SETTLED = 6 * 3600.0
# Without a battery-backed clock a machine starts where it was shut down, and a time server puts
# that right: the first agreement in so young a boot is believed at once.
YOUNG = 3600.0
# Small steps are taken into what is believed so slowly (a share of the time that went by) that many
# of them in a row count as one jump.
RELAXED = 0.01
AHEAD, BACK = "ahead", "back"
# Another process may have written so much after the `now` that one holds its times against. What is
# dated later was written by a clock that was ahead, and is neither new nor recent.
SLACK = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class ClockReading:
    """One look. `boot` names the boot, `uptime` is in seconds since it, suspend included; `wall` is
    in seconds since 1970; `synchronized`: the kernel says that a time server holds the clock."""

    boot: str
    uptime: float
    wall: float
    synchronized: bool = False


@dataclass(frozen=True, slots=True)
class ClockState:
    """What the looks so far add up to. `boot`, `uptime` and `wall` are the last look's; `believed`
    is what the wall clock should have said then; `newest` is the newest time that was believed.
    `stepped_at` is the uptime of the last step of this boot. In doubt, `doubt` is AHEAD or BACK,
    `since` the wall time of the look that noticed it, and `held_since` the uptime since which a
    time server agrees. `loose`: since a reboot `believed` is only the earliest that it can be."""

    boot: str
    uptime: float
    wall: float
    believed: float
    newest: float
    stepped_at: float | None = None
    doubt: str = ""
    since: float | None = None
    held_since: float | None = None
    loose: bool = False

    @property
    def off(self) -> float:
        """Seconds by which the wall clock was ahead of what is believed."""
        return self.wall - self.believed


def trust(reading: ClockReading) -> ClockState:
    """The first look, and what the owner says is right."""
    return ClockState(reading.boot, reading.uptime, reading.wall, reading.wall, reading.wall)


def watch(before: ClockState | None, reading: ClockReading) -> ClockState:
    """Hold a look against the ones before."""
    if before is None:
        return trust(reading)
    same = reading.boot == before.boot and reading.uptime >= before.uptime
    elapsed = reading.uptime - before.uptime if same else 0.0
    stepped = before.stepped_at if same else None
    if same and abs(reading.wall - before.wall - elapsed) > STEP:
        stepped = reading.uptime
    seen = replace(
        before,
        boot=reading.boot,
        uptime=reading.uptime,
        wall=reading.wall,
        believed=before.believed + elapsed,
        stepped_at=stepped,
        held_since=_held_since(before, reading, same=same),
        loose=before.loose or not same,
    )
    if _agrees(before, seen, reading) or _over(seen, reading):
        return _believed(seen, elapsed, same=same)
    doubt = AHEAD if seen.off > 0 else BACK
    if doubt != before.doubt:
        # What a time server says counts from the jump on.
        held = reading.uptime if reading.synchronized else None
        return replace(seen, doubt=doubt, since=reading.wall, held_since=held)
    return seen


def _held_since(before: ClockState, reading: ClockReading, *, same: bool) -> float | None:
    if not reading.synchronized:
        return None
    return before.held_since if same and before.held_since is not None else reading.uptime


def _agrees(before: ClockState, seen: ClockState, reading: ClockReading) -> bool:
    if -TOLERANCE <= seen.off <= (OFF if seen.loose else TOLERANCE):
        return True
    if seen.off < 0 or before.doubt == AHEAD or not reading.synchronized:
        return False
    return seen.loose or (before.held_since is None and reading.uptime < YOUNG)


def _over(seen: ClockState, reading: ClockReading) -> bool:
    """A doubt ends when the clock has caught up with the newest time that it had said, or when a
    time server held it for long enough."""
    if not seen.doubt:
        return False
    if seen.doubt == BACK and seen.off < 0 and reading.wall >= seen.newest:
        return True
    return seen.held_since is not None and reading.uptime - seen.held_since >= SETTLED


def _believed(seen: ClockState, elapsed: float, *, same: bool) -> ClockState:
    believed = seen.wall
    if same and not seen.doubt:
        most = RELAXED * elapsed
        believed = seen.believed + max(-most, min(most, seen.off))
    newest = max(seen.newest, seen.wall) if not seen.doubt else seen.wall
    return replace(seen, believed=believed, newest=newest, doubt="", since=None, loose=False)


def steady(watched: ClockState, seconds: float) -> bool:
    """Whether the wall clock made no step in the last so many seconds of this boot."""
    return watched.stepped_at is None or watched.uptime - watched.stepped_at > seconds


ADVICE = (
    "Backups go on; nothing is pruned until the clock is right again, until a time server has held "
    "it for 6 hours, or until you say that it is right (`./panel clock confirm`)."
)


def sentence(watched: ClockState) -> str:
    """Why nothing that is derived from dates may be deleted now; empty if the clock is believed."""
    said = jumped(watched)
    return f"{said} {ADVICE}" if said else ""


def jumped(watched: ClockState) -> str:
    """What happened, in one sentence; empty if the clock is believed."""
    if not watched.doubt or watched.since is None:
        return ""
    far = span(abs(watched.off))
    at = f"{datetime.fromtimestamp(watched.since, UTC):%Y-%m-%d %H:%M} UTC"
    moved = f"{far} ahead" if watched.doubt == AHEAD else f"back by {far}"
    return f"The clock of the panel's machine jumped {moved} (noticed when it said {at})."
