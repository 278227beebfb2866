"""The prover at work on a store's machine: scripts/prover.py, typed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labpanel.adapters.machine import Machine
from labpanel.adapters.mover import Export, Tick
from labpanel.adapters.script_session import Front

# The script itself gives up after 60 s in which nothing moved; it reports twice a second.
SILENT, SHORT = 75, 20
# One chunk of a file may hang that long on a drive that retries before it gives a sector up.
RETRYING = 300


@dataclass(frozen=True, slots=True)
class Read:
    """How one disk reads: `bad` are [first byte, byte after] that are not as backed up, or cannot
    be read; `root` is one digest over the digests of all that was read."""

    virtual_bytes: int
    read_bytes: int
    seconds: float
    bad: list[list[int]]
    root: str


class Prover(Front):
    """Reads and compares; writes nothing. `bytes_per_second` caps all its reading."""

    modules = ("wire", "digests", "blocks", "reading", "crew", "saver", "manifests", "prover")

    def __init__(self, machine: Machine, store: str, bytes_per_second: int | None = None) -> None:
        super().__init__(machine)
        self._store = store
        self._cap = bytes_per_second

    def manifest(self, vm_uuid: str, key: str) -> tuple[dict[str, Any] | None, str]:
        """What a generation's manifest says, or what is wrong with it (the end of a sentence)."""
        answer = self._session.call(
            "manifest", deadline=SHORT, store=self._store, vm_uuid=vm_uuid, key=key
        )
        return answer["manifest"], answer["wrong"]

    def files(
        self,
        vm_uuid: str,
        key: str,
        hashes: Mapping[str, str],
        told: Callable[[dict[str, Any]], None] = lambda _: None,
    ) -> dict[str, str]:
        """Level 1: name → what is wrong with that file, of those with something wrong."""
        answer: dict[str, str] = self._session.call(
            "files",
            deadline=RETRYING,
            told=told,
            store=self._store,
            vm_uuid=vm_uuid,
            key=key,
            hashes=dict(hashes),
            bytes_per_second=self._cap,
        )
        return answer

    def holding(
        self, vm_uuid: str, target: str, wanted: Mapping[str, str], leave_out: Sequence[str]
    ) -> list[str]:
        """Keys of generations whose lists have some of the `wanted` blocks (number → digest)."""
        answer: list[str] = self._session.call(
            "holding",
            deadline=RETRYING,
            store=self._store,
            vm_uuid=vm_uuid,
            target=target,
            wanted=dict(wanted),
            leave_out=list(leave_out),
        )
        return answer

    def content(
        self,
        source: Export,
        digests: str,
        *,
        within: Sequence[Sequence[int]] | None = None,
        told: Callable[[Tick], None] = lambda _: None,
    ) -> Read:
        """Level 2: a disk, or its blocks that `within` touches, against the list in the file
        `digests`; with no list only `root` says something."""
        answer = self._session.call(
            "content",
            deadline=SILENT,
            told=lambda event: told(Tick.of(event)),
            disk=source.name,
            source=[source.socket, source.name],
            digests=digests,
            within=within if within is None else [list(span) for span in within],
            bytes_per_second=self._cap,
        )
        return Read(**answer)
