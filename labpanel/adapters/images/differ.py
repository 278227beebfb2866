"""Gives an image the content of a generation's disk, where it lies: blocks/differ.py, typed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from labpanel.adapters.images.mover import READY, SILENT, Export, Tick
from labpanel.adapters.ssh.session import Front


@dataclass(frozen=True, slots=True)
class Difference:
    """How one disk went. `sent_bytes` crossed the network; `bad` are [first byte, byte after] that
    are not as backed up; `root` is the digest over the list that was used."""

    virtual_bytes: int
    sent_bytes: int
    seconds: float
    bad: list[list[int]]
    root: str


class Differ(Front):
    """Works on the images of one machine, one disk after the other."""

    program = "blocks.differ"

    def ready(self) -> None:
        """Raises Missing if the machine lacks python3-libnbd, before anything is begun."""
        self._session.call("ready", deadline=READY)

    def fetch(
        self,
        target: Export,
        digests: Export,
        source: Export,
        virtual_bytes: int,
        *,
        on_progress: Callable[[Tick], None],
    ) -> Difference:
        """Write the blocks that differ, each held against the list before it is written."""
        return self._run(
            target, digests, virtual_bytes, on_progress, source=[source.socket, source.name]
        )

    def prove(
        self,
        target: Export,
        digests: Export,
        virtual_bytes: int,
        *,
        on_progress: Callable[[Tick], None],
    ) -> Difference:
        """Hold every block against the list; nothing is written."""
        return self._run(target, digests, virtual_bytes, on_progress)

    def _run(
        self,
        target: Export,
        digests: Export,
        virtual_bytes: int,
        on_progress: Callable[[Tick], None],
        **more: Any,
    ) -> Difference:
        answer: Difference = self._session.call(
            "disk",
            deadline=SILENT,
            shape=Difference,
            on_progress=lambda event: on_progress(Tick.of(event)),
            disk=target.name,
            virtual_bytes=virtual_bytes,
            target=[target.socket, target.name],
            digests=[digests.socket, digests.name],
            **more,
        )
        return answer
