"""What libvirt calls a domain's state, and why it is in it (libvirt-domain.h, virDomainState and
the virDomain…Reason of each state; the words are virsh's).

A number that is not known here is that of a newer libvirt: the first word of its list.
"""

from dataclasses import dataclass
from enum import StrEnum

RUNNING, PAUSED, SHUT_OFF, CRASHED = "running", "paused", "shut off", "crashed"
# Each at the place of its number.
STATES = (
    "no state",
    RUNNING,
    "blocked",
    PAUSED,
    "in shutdown",
    SHUT_OFF,
    CRASHED,
    "suspended by guest",
)


class Reason(StrEnum):
    """Why a domain is in its state."""

    UNKNOWN = "unknown"
    BOOTED = "booted"
    MIGRATED = "migrated"
    RESTORED = "restored"
    FROM_SNAPSHOT = "from snapshot"
    UNPAUSED = "unpaused"
    MIGRATION_CANCELED = "migration canceled"
    SAVE_CANCELED = "save canceled"
    WAKEUP = "event wakeup"
    CRASHED = "crashed"
    POSTCOPY = "post-copy"
    POSTCOPY_FAILED = "post-copy failed"
    USER = "user"
    MIGRATING = "migrating"
    SAVING = "saving"
    DUMPING = "dumping"
    IO_ERROR = "I/O error"
    WATCHDOG = "watchdog"
    SHUTTING_DOWN = "shutting down"
    SNAPSHOT = "creating snapshot"
    STARTING_UP = "starting up"
    API_ERROR = "api error"
    SHUTDOWN = "shutdown"
    DESTROYED = "destroyed"
    SAVED = "saved"
    FAILED = "failed"
    DAEMON = "daemon"
    PANICKED = "panicked"


class DiskError(StrEnum):
    """What stopped a virtual disk (virDomainDiskErrorCode)."""

    NO_SPACE = "no space"
    OTHER = "I/O error"


_NO_SPACE = 2  # VIR_DOMAIN_DISK_ERROR_NO_SPACE


def disk_error_of(number: object) -> DiskError:
    return DiskError.NO_SPACE if number == _NO_SPACE else DiskError.OTHER


_R = Reason
_REASONS: dict[str, tuple[Reason, ...]] = {
    "running": (
        _R.UNKNOWN,
        _R.BOOTED,
        _R.MIGRATED,
        _R.RESTORED,
        _R.FROM_SNAPSHOT,
        _R.UNPAUSED,
        _R.MIGRATION_CANCELED,
        _R.SAVE_CANCELED,
        _R.WAKEUP,
        _R.CRASHED,
        _R.POSTCOPY,
        _R.POSTCOPY_FAILED,
    ),
    "paused": (
        _R.UNKNOWN,
        _R.USER,
        _R.MIGRATING,
        _R.SAVING,
        _R.DUMPING,
        _R.IO_ERROR,
        _R.WATCHDOG,
        _R.FROM_SNAPSHOT,
        _R.SHUTTING_DOWN,
        _R.SNAPSHOT,
        _R.CRASHED,
        _R.STARTING_UP,
        _R.POSTCOPY,
        _R.POSTCOPY_FAILED,
        _R.API_ERROR,
    ),
    "in shutdown": (_R.UNKNOWN, _R.USER),
    "shut off": (
        _R.UNKNOWN,
        _R.SHUTDOWN,
        _R.DESTROYED,
        _R.CRASHED,
        _R.MIGRATED,
        _R.SAVED,
        _R.FAILED,
        _R.FROM_SNAPSHOT,
        _R.DAEMON,
    ),
    "crashed": (_R.UNKNOWN, _R.PANICKED),
}


def state_of(number: int) -> str:
    return STATES[number] if 0 <= number < len(STATES) else STATES[0]


def reason_of(state: str, number: int) -> Reason:
    """The word for a reason's number, which means another thing in each state."""
    known = _REASONS.get(state, ())
    return known[number] if 0 <= number < len(known) else Reason.UNKNOWN


def number_of(state: str, reason: Reason) -> int:
    """The number that libvirt has for it; 0 where the state has no such reason."""
    known = _REASONS.get(state, ())
    return known.index(reason) if reason in known else 0


@dataclass(frozen=True, slots=True)
class DomainState:
    """What libvirt says of one domain now. `run` is libvirt's number of the run, None of one that
    does not run; the rest is empty where it does not know the domain."""

    known: bool
    state: str = ""
    reason: Reason = Reason.UNKNOWN
    run: int | None = None

    @property
    def active(self) -> bool:
        """Whether QEMU runs, paused or not."""
        return self.run is not None

    @property
    def is_over(self) -> bool:
        """Whether nothing of it runs: it is not known, off or crashed."""
        return not self.known or self.state in {SHUT_OFF, CRASHED}

    @property
    def paused(self) -> bool:
        return self.state == PAUSED

    @property
    def stopped_by_a_write(self) -> bool:
        """Whether QEMU stopped it since a write failed, for want of room or else."""
        return stopped_by_a_write(self.state, self.reason)

    @property
    def left(self) -> bool:
        """Whether it is off since it migrated away."""
        return self.known and not self.active and self.reason is Reason.MIGRATED


def stopped_by_a_write(state: str, reason: Reason) -> bool:
    return state == PAUSED and reason is Reason.IO_ERROR
