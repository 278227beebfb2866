"""Taking a domain to another host."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from labpanel.adapters.libvirt.calls import Calls, asks, changes, in_shape, in_words, read_flag
from labpanel.lib import closed
from labpanel.lib.shaped import shaped


@dataclass(frozen=True, slots=True)
class MoveFacts:
    """What a plan must know of one domain, with the secrets in its XML. `inactive_xml` is empty of
    one that is transient, `portable_xml` (for a live migration) of one that is off."""

    name: str
    state: str
    active: bool
    persistent: bool
    autostart: bool
    xml: str
    inactive_xml: str
    portable_xml: str
    busy: bool
    snapshots: int
    checkpoints: int
    managed_save: bool
    libvirt: int
    qemu: int


@dataclass(frozen=True, slots=True)
class Extent:
    """A virtual disk in bytes, as libvirt opens it."""

    capacity: int
    allocation: int


@dataclass(frozen=True, slots=True)
class Route:
    """Where libvirt finds the other host's daemon, and where memory and disks go: URIs."""

    destination: str
    migrate_uri: str
    disks_uri: str


@dataclass(frozen=True, slots=True)
class JobStats:
    """The job under way, in bytes and bytes a second (virDomainGetJobStats); None and 0 are what
    libvirt does not say."""

    data_total: int = 0
    data_processed: int | None = None
    data_remaining: int = 0
    disk_remaining: int = 0
    disk_bps: int | None = None
    memory_bps: int | None = None


class ReadsMoves(Protocol):
    """For a plan. Nothing is changed."""

    def move_facts(self, uuid: str) -> MoveFacts: ...

    def virtual_sizes(self, uuid: str, targets: Sequence[str]) -> dict[str, Extent]:
        """By target."""


class MovesDomains(ReadsMoves, Protocol):
    def job_stats(self, uuid: str) -> JobStats | None:
        """None where no job is under way, or the domain is gone."""

    def abort_move(self, uuid: str) -> bool:
        """Stop a migration that goes out from here; False if none is under way."""


class Migrates(Protocol):
    """A connection of its own for the one call that takes as long as the copying."""

    def migrate(
        self, uuid: str, route: Route, *, disks: Sequence[str], xml: str, persistent_xml: str
    ) -> float | None:
        """Move a running domain with its `disks`; on return it is paused at the destination. When
        the source stopped, on this machine's monotonic clock; None if libvirt did not tell."""

    def close(self) -> None:
        """End the connection, and with it a call that has not come back."""


def _read_stats(answer: object) -> JobStats | None:
    said = closed.entries(answer, "answer")
    if not said:
        return None
    known = {name: said[name] for name in JobStats.__dataclass_fields__ if name in said}
    found: JobStats = shaped(JobStats, known)
    return found


def _read_stop(answer: object) -> float | None:
    said = closed.entries(answer, "answer")
    at: float | None = shaped(float | None, closed.of(said, "suspended_at"))
    return at


_FACTS = asks("move_facts", 15, in_words(MoveFacts))
_SIZES = asks("virtual_sizes", 15, in_shape(dict[str, Extent]))
_JOB_STATS = asks("job_stats", 15, _read_stats)
_ABORT = changes("abort_move", 15, read_flag)
# A week: it ends by the watch over its progress, not by its deadline.
_MIGRATE = changes("migrate", 7 * 86400, _read_stop)


class MovingCalls(Calls, MovesDomains):
    def move_facts(self, uuid: str) -> MoveFacts:
        return self._do(_FACTS, uuid=uuid)

    def virtual_sizes(self, uuid: str, targets: Sequence[str]) -> dict[str, Extent]:
        return self._do(_SIZES, uuid=uuid, targets=list(targets))

    def job_stats(self, uuid: str) -> JobStats | None:
        return self._do(_JOB_STATS, uuid=uuid)

    def abort_move(self, uuid: str) -> bool:
        return self._do(_ABORT, uuid=uuid)

    def migrate(
        self, uuid: str, route: Route, *, disks: Sequence[str], xml: str, persistent_xml: str
    ) -> float | None:
        return self._do(
            _MIGRATE,
            uuid=uuid,
            destination=route.destination,
            migrate_uri=route.migrate_uri,
            disks_uri=route.disks_uri,
            disks=list(disks),
            xml=xml,
            persistent_xml=persistent_xml,
        )
