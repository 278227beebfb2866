"""Is a VM in trouble of its own? Pure: what libvirt said of it before and says now, in; a trouble
and the reason for it, out.

A clean end is no trouble, from whatever side it was asked for: libvirt says "shutdown" or
"destroyed" of that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType

from labpanel.lib.vm_state import DiskError, Reason
from labpanel.symptoms.facts.vms import Crash, Pause, VmCrashed, VmOff, VmPaused, VmRestarts
from labpanel.symptoms.kinds import Kind

# The kinds of a VM's own troubles.
KINDS = (Kind.VM_CRASHED, Kind.VM_PAUSED, Kind.VM_OFF, Kind.VM_GONE, Kind.VM_RESTARTS)
# As often within this time is again and again.
RESTARTS = 3
RESTARTS_WITHIN = timedelta(minutes=10)


# libvirt starts what has autostart soon after it has begun to answer.
AUTOSTART_TAKES = timedelta(seconds=45)
# A host that goes down shuts its guests down first: of such an end it is not known yet whose it is.
GOING_DOWN_TAKES = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class DomainLook:
    """What libvirt says now, and what is remembered: `last_run` is libvirt's number of its last
    run here, `ran_in` the host's boot in which it was on, until it is known to have ended cleanly.
    `lasts` is for how long it has been seen in this state, `since` when that began, `asked` whether
    the panel is, or was since the last look, running a job on it that starts and ends VMs."""

    name: str
    host: str
    state: str
    reason: Reason
    on: bool
    since: datetime
    run: int | None = None
    boot: str = ""
    autostart: bool = False
    asked: bool = False
    last_run: int | None = None
    ran_in: str = ""
    lasts: timedelta = timedelta(0)
    disk_errors: Mapping[str, DiskError] = field(default_factory=lambda: MappingProxyType({}))


def trouble(seen: DomainLook) -> VmCrashed | VmPaused | VmOff | None:
    """The trouble that this look shows; None where it shows none."""
    if seen.state == "paused":
        return _paused(seen)
    if seen.state == "crashed":
        return VmCrashed(seen.name, seen.host, Crash.PANICKED, seen.since)
    if seen.on or seen.state != "shut off":
        return None
    ended = _ended(seen)
    return VmCrashed(seen.name, seen.host, ended, seen.since) if ended else _off(seen)


def is_over(kind: str, seen: DomainLook) -> bool:
    """Whether an open trouble of this kind is over by what is seen now. That libvirt forgets a
    reason (it does when it is restarted) ends nothing."""
    if kind == Kind.VM_GONE:
        return True
    if kind == Kind.VM_PAUSED:
        return seen.state != "paused" or seen.reason is Reason.USER
    return seen.on and trouble(seen) is None


def _ended(seen: DomainLook) -> Crash | None:
    """Off without having been asked to, by libvirt's own word."""
    return {
        Reason.CRASHED: Crash.CRASHED,
        Reason.FAILED: Crash.FAILED,
        Reason.DAEMON: Crash.DAEMON,
    }.get(seen.reason)


def _off(seen: DomainLook) -> VmOff | None:
    """It ran when it was last seen on, is off now, and libvirt has no reason for that."""
    if not seen.ran_in or seen.asked or seen.reason is not Reason.UNKNOWN:
        return None
    if seen.autostart and seen.lasts < AUTOSTART_TAKES:
        return None
    restarted = bool(seen.boot) and seen.ran_in != seen.boot
    return VmOff(seen.name, seen.host, restarted, seen.autostart, seen.since)


def boot_it_ran_in(seen: DomainLook) -> str:
    """What is to be remembered as `ran_in` after this look."""
    if seen.on:
        return seen.boot or "unknown"
    if seen.asked or seen.state != "shut off":
        return "" if seen.asked else seen.ran_in
    if _ended(seen):
        return ""  # that is a trouble of its own
    if seen.reason is Reason.UNKNOWN:
        return seen.ran_in
    soon = seen.ran_in == seen.boot and seen.lasts <= GOING_DOWN_TAKES
    return seen.ran_in if soon else ""


_PAUSES = {
    Reason.WATCHDOG: Pause.WATCHDOG,
    Reason.POSTCOPY_FAILED: Pause.POSTCOPY,
    Reason.API_ERROR: Pause.API_ERROR,
}


def _paused(seen: DomainLook) -> VmPaused | VmCrashed | None:
    if seen.reason is Reason.CRASHED:
        return VmCrashed(seen.name, seen.host, Crash.PANICKED, seen.since)
    if seen.reason is Reason.IO_ERROR:
        return VmPaused(seen.name, seen.host, *_stopped_by(seen), seen.since)
    why = _PAUSES.get(seen.reason)
    return VmPaused(seen.name, seen.host, why, (), seen.since) if why else None


def _stopped_by(seen: DomainLook) -> tuple[Pause, tuple[str, ...]]:
    """Disks that are broken weigh more than full ones."""
    errors = seen.disk_errors
    full = sorted(disk for disk, error in errors.items() if error is DiskError.NO_SPACE)
    broken = sorted(disk for disk, error in errors.items() if error is not DiskError.NO_SPACE)
    if broken:
        return Pause.DISK_ERROR, tuple(broken)
    return (Pause.NO_SPACE, tuple(full)) if full else (Pause.UNKNOWN_DISK, ())


def has_restarted(seen: DomainLook) -> bool:
    """Whether it was started since the last look without the panel having asked. The restart of
    its host is another matter."""
    if seen.asked or not seen.on or seen.run is None or seen.last_run is None:
        return False
    return seen.last_run != seen.run and seen.ran_in in {"", seen.boot}


def again_and_again(
    name: str, host: str, times: Sequence[datetime], now: datetime
) -> VmRestarts | None:
    """Of the times at which it restarted without having been asked."""
    lately = [at for at in times if now - RESTARTS_WITHIN <= at <= now]
    if len(lately) < RESTARTS:
        return None
    minutes = RESTARTS_WITHIN.seconds // 60
    return VmRestarts(name, host, len(lately), minutes, since=max(times))
