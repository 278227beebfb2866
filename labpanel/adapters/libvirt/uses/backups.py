"""Opening a running domain's disks at one instant, and ending that."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Protocol

from labpanel.adapters.libvirt.calls import Calls, asks, changes, in_shape, in_words, read_flag


@dataclass(frozen=True, slots=True)
class BackupFacts:
    """What a backup must know before it starts. `xml` is the definition that counts now (live if it
    runs), both with their secrets. `run` is libvirt's number of the run, None of one that is off;
    `busy` says that libvirt works on the domain already, `managed_save` that it is off and its
    memory was kept. Versions are 1 000 000 × major + 1 000 × minor."""

    name: str
    run: int | None
    state: str
    active: bool
    xml: str
    inactive_xml: str
    busy: bool
    snapshots: int
    managed_save: bool
    libvirt: int
    qemu: int


@dataclass(frozen=True, slots=True)
class DiskSize:
    """One virtual disk in bytes."""

    capacity: int
    allocation: int
    physical: int


@dataclass(frozen=True, slots=True)
class Way:
    """One way to begin a backup: the job's description, that of the checkpoint that begins with it,
    and that one's name; both empty for none."""

    xml: str
    checkpoint: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class BackupBegun:
    """`way` is the number of the way that libvirt took, `refused` its words on those before.
    `why_not` says why the guest was not frozen; `thawed` is False while that is not known."""

    quiesced: bool
    why_not: str
    thawed: bool
    way: int
    refused: tuple[str, ...]
    checkpoint_xml: str


@dataclass(frozen=True, slots=True)
class PushProgress:
    """`succeeded` counts once it does not run any more."""

    running: bool
    done_bytes: int
    total_bytes: int
    succeeded: bool


class ReadsBackups(Protocol):
    def backup_facts(self, uuid: str) -> BackupFacts: ...


class PullsDisks(ReadsBackups, Protocol):
    def block_info(self, uuid: str, target: str) -> DiskSize: ...

    def backup_begin(self, uuid: str, ways: Sequence[Way], *, freeze_seconds: int) -> BackupBegun:
        """The ways are tried in turn. The guest is frozen around it if its agent answers within
        `freeze_seconds`, 0 for leaving it alone, and thawed whatever happens."""

    def thaw(self, uuid: str) -> bool:
        """Whether the guest is known to be thawed. Thawing twice changes nothing."""

    def abort_backup(self, uuid: str, mark: str) -> bool:
        """End the backup that is ours by `mark`: a socket that it serves, or a file that it writes.
        False if there is none, also the second time. Another's job is never touched."""

    def push_progress(self, uuid: str) -> PushProgress: ...


_FACTS = asks("backup_facts", 15, in_words(BackupFacts))
_BLOCK_INFO = asks("block_info", 15, in_shape(DiskSize))
_BEGIN = changes("backup_begin", 30, in_shape(BackupBegun))  # and the freezing and thawing
_THAW = changes("thaw", 30, read_flag)
_ABORT = changes("abort_backup", 30, read_flag)
_PUSH_PROGRESS = asks("push_progress", 15, in_shape(PushProgress))


class BackupCalls(Calls, PullsDisks):
    def backup_facts(self, uuid: str) -> BackupFacts:
        return self._do(_FACTS, uuid=uuid)

    def block_info(self, uuid: str, target: str) -> DiskSize:
        return self._do(_BLOCK_INFO, uuid=uuid, target=target)

    def backup_begin(self, uuid: str, ways: Sequence[Way], *, freeze_seconds: int) -> BackupBegun:
        return self._do(
            _BEGIN,
            extra_seconds=2 * freeze_seconds,
            uuid=uuid,
            ways=[asdict(way) for way in ways],
            freeze_seconds=freeze_seconds,
        )

    def thaw(self, uuid: str) -> bool:
        return self._do(_THAW, uuid=uuid)

    def abort_backup(self, uuid: str, mark: str) -> bool:
        return self._do(_ABORT, uuid=uuid, mark=mark)

    def push_progress(self, uuid: str) -> PushProgress:
        return self._do(_PUSH_PROGRESS, uuid=uuid)
