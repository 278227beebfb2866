"""Client for the verifying program on a store's machine: onhost/store/prover.py."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from labpanel.adapters.images.mover import Export, Tick
from labpanel.adapters.ssh.machine import Machine
from labpanel.adapters.ssh.session import Front
from labpanel.adapters.store import answers as store_answers
from labpanel.lib.store_format.content import ContentRead
from labpanel.lib.store_format.manifest import Manifest
from labpanel.lib.strict_json import MOST_INTEGER, Fields

T = TypeVar("T")
MOST_RANGES = 1_000_000
ROOT = re.compile(r"([0-9a-f]{64})?")
# The script itself gives up after 60 s in which nothing moved; it reports twice a second.
SILENT, SHORT = 75, 20
# One chunk of a file may hang that long on a drive that retries before it gives a sector up.
RETRYING = 300


class Prover(Front):
    """Reads and compares; writes nothing. `bytes_per_second` caps all its reading."""

    program = "store.prover"

    def __init__(self, machine: Machine, store: str, bytes_per_second: int | None = None) -> None:
        super().__init__(machine)
        self._store = store
        self._cap = bytes_per_second

    def manifest(self, vm_uuid: str, key: str) -> tuple[Manifest | None, str]:
        """A generation's manifest, or what is wrong with it (the end of a sentence)."""
        answer = self._session.call(
            "manifest", deadline=SHORT, store=self._store, vm_uuid=vm_uuid, key=key
        )
        return self._checked(store_answers.read_manifest, answer, vm_uuid, key)

    def files(
        self,
        vm_uuid: str,
        key: str,
        hashes: Mapping[str, str],
        on_progress: Callable[[dict[str, Any]], None] = lambda _: None,
    ) -> dict[str, str]:
        """Level 1: name → what is wrong with that file, of those with something wrong."""
        answer = self._session.call(
            "files",
            deadline=RETRYING,
            on_progress=on_progress,
            store=self._store,
            vm_uuid=vm_uuid,
            key=key,
            hashes=dict(hashes),
            bytes_per_second=self._cap,
        )
        return self._checked(store_answers.wrong_files, answer, hashes)

    def holding(
        self, vm_uuid: str, target: str, wanted: Mapping[str, str], leave_out: Sequence[str]
    ) -> list[str]:
        """Keys of generations whose lists have some of the `wanted` blocks (number → digest)."""
        answer = self._session.call(
            "holding",
            deadline=RETRYING,
            store=self._store,
            vm_uuid=vm_uuid,
            target=target,
            wanted=dict(wanted),
            leave_out=list(leave_out),
        )
        return self._checked(store_answers.keys, answer)

    def content(
        self,
        source: Export,
        digests: str,
        *,
        within: Sequence[Sequence[int]] | None = None,
        on_progress: Callable[[Tick], None] = lambda _: None,
    ) -> ContentRead:
        """Level 2: a disk, or its blocks that `within` touches, against the list in the file
        `digests`; with no list only `root` says something."""
        answer = self._session.call(
            "content",
            deadline=SILENT,
            on_progress=lambda event: on_progress(Tick.of(event)),
            disk=source.name,
            source=[source.socket, source.name],
            digests=digests,
            within=within if within is None else [list(span) for span in within],
            bytes_per_second=self._cap,
        )
        return self._checked(_read, answer)

    def _checked(self, parse: Callable[..., T], *answer: object) -> T:
        return store_answers.checked_by(parse, self.machine.endpoint.name, *answer)


def _read(answer: object) -> ContentRead:
    fields = Fields(answer)
    return ContentRead(
        virtual_bytes=fields.integer("virtual_bytes"),
        read_bytes=fields.integer("read_bytes"),
        seconds=fields.seconds("seconds"),
        bad=[list(span) for span in fields.ranges("bad", MOST_RANGES, MOST_INTEGER)],
        root=fields.like("root", ROOT, "a digest"),
        unreadable=[list(span) for span in fields.ranges("unreadable", MOST_RANGES, MOST_INTEGER)],
    )
