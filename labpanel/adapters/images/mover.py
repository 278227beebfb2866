"""Client for the copying program, which runs where the data is: onhost/blocks/mover.py."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from labpanel.adapters.ssh.session import Front
from labpanel.lib import closed
from labpanel.lib.hints import Hint

# The script itself gives up after 60 s in which nothing moved; it reports twice a second.
SILENT = 75
READY = 20


@dataclass(frozen=True, slots=True)
class Moved:
    """How one disk went. `root` is one digest over the list of digests of all that was read."""

    virtual_bytes: int
    read_bytes: int
    written_bytes: int
    seconds: float
    root: str


@dataclass(frozen=True, slots=True)
class Saved:
    """How one disk was backed up. `unreadable` and `missed` are [first byte, byte after the last]:
    what the source could not read (blocks that they lie in keep what the parent has), and what had
    changed though the bitmap did not flag it. `hinted` is false if the bitmap of the hint was not
    to be had, so that everything was read. `root` is the SHA-256 of the list of digests, where all
    of it was read at the source or held against what it had to be; else empty. `alike_bytes` and
    `lost_bytes`: of what the parent has where it was compared, not zeros, that which stayed and
    that which did not."""

    virtual_bytes: int
    candidate_bytes: int
    read_bytes: int
    written_bytes: int
    seconds: float
    unreadable: list[list[int]]
    missed: list[list[int]]
    hinted: bool
    root: str = ""
    alike_bytes: int = 0
    lost_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Tick:
    """How far one disk is."""

    done_bytes: int
    total_bytes: int

    @classmethod
    def of(cls, event: Mapping[str, Any]) -> Self:
        """As a script tells it (onhost/blocks/worker_pool.py)."""
        done = closed.whole(event.get("done_bytes"), "bytes done")
        return cls(done, closed.whole(event.get("total_bytes"), "bytes in all"))


@dataclass(frozen=True, slots=True)
class Export:
    """An NBD export: its unix socket on the mover's machine, and its name. `file` is the raw image
    behind it, if it may be read without the server too."""

    socket: str
    name: str
    file: str = ""


class Mover(Front):
    """Copies and digests disks between NBD exports, one after the other."""

    program = "blocks.mover"

    def ready(self) -> None:
        """Raises Missing if the machine lacks python3-libnbd, before anything is begun."""
        self._session.call("ready", deadline=READY)

    def copy(self, source: Export, target: Export, *, on_progress: Callable[[Tick], None]) -> Moved:
        """Copy and digest a whole disk onto an empty image."""
        return self._run(source, on_progress, target=_pair(target))

    def flagged(self, source: Export, context: str) -> int | None:
        """How many bytes the dirty bitmap flags; None if the export does not show it."""
        answer: int | None = self._session.call(
            "flagged",
            deadline=SILENT,
            shape=int | None,
            source=_pair(source),
            context=context,
        )
        return answer

    def back_up(
        self,
        source: Export,
        target: Export,
        digests: Export,
        *,
        hint: Hint,
        plain: str = "",
        forced: Sequence[Sequence[int]] = (),
        bytes_per_second: int | None = None,
        root: str = "",
        on_progress: Callable[[Tick], None],
    ) -> Saved:
        """Bring an image that backs on its parent up to date with the source, and the list of
        digests, which starts as the parent's, with it. `plain` is an export beside `target` for
        blocks that do not compress. `forced` are [first byte, byte after] to be
        written whatever the list says. `root`: the SHA-256 that the list must have at first. Raises
        ScriptRefused "nbd" when the source is gone, "digests" when the list is another one."""
        answer: Saved = self._session.call(
            "back_up",
            deadline=SILENT,
            shape=Saved,
            on_progress=lambda event: on_progress(Tick.of(event)),
            disk=source.name,
            source=_pair(source),
            target=[*_pair(target), plain or target.name],
            digests=_pair(digests),
            mode=hint.mode,
            context=hint.context,
            forced=[list(span) for span in forced],
            bytes_per_second=bytes_per_second,
            file=source.file,
            root=root,
        )
        return answer

    def digest(self, source: Export, *, on_progress: Callable[[Tick], None]) -> Moved:
        """Read and digest a whole disk; nothing is written."""
        return self._run(source, on_progress)

    def restore(
        self, source: Export, target: Export, digests: str, *, on_progress: Callable[[Tick], None]
    ) -> Moved:
        """Copy onto an empty image, refusing at the first block that is not as backed up."""
        return self._run(source, on_progress, target=_pair(target), digests=digests)

    def _run(self, source: Export, on_progress: Callable[[Tick], None], **more: Any) -> Moved:
        answer: Moved = self._session.call(
            "disk",
            deadline=SILENT,
            shape=Moved,
            on_progress=lambda event: on_progress(Tick.of(event)),
            disk=source.name,
            source=_pair(source),
            **more,
        )
        return answer


def _pair(export: Export) -> list[str]:
    return [export.socket, export.name]
