"""Threads that work through the blocks of one disk, and say how far they are.

libnbd and hashlib work outside of Python's lock, so a few threads, each with connections of its
own, keep both sides and all cores busy.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Protocol

from labpanel.onhost.blocks.blocks import Ranges
from labpanel.onhost.runtime.wire import leave, say

THREADS = 8
STALLED_SECONDS = 60
REPORT_SECONDS = 0.5


class Tally:
    """What was done so far, in bytes. `alive` is when something moved last."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.done = self.read = self.written = self.alike = self.lost = 0
        self.began = self.alive = time.monotonic()
        self._lock = threading.Lock()

    def add(
        self, done: int, *, read: int = 0, written: int = 0, alike: int = 0, lost: int = 0
    ) -> None:
        """`alike` and `lost`: of what the parent has, not zeros, that which stayed and which did
        not."""
        with self._lock:
            self.done += done
            self.read += read
            self.written += written
            self.alike += alike
            self.lost += lost
            self.alive = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began


class Cap:
    """A token bucket of one second: at most so many bytes go a second."""

    def __init__(self, bytes_per_second: "int | None", tally: Tally) -> None:
        self._rate = max(bytes_per_second or 0, 0)
        self._tally = tally
        self._lock = threading.Lock()
        self._free_at = time.monotonic()

    def take(self, length: int) -> None:
        """Wait until `length` bytes may go."""
        if not self._rate:
            return
        with self._lock:
            at = max(self._free_at, time.monotonic() - 1)
            self._free_at = at + length / self._rate
        while (wait := at - time.monotonic()) > 0:
            time.sleep(min(wait, 1))
            self._tally.add(0)  # waiting one's turn is not stalling


class Worker(Protocol):
    """One thread's work, with its own connections."""

    def do(self, first: int, after: int) -> None:
        """Deal with the blocks [first, after)."""

    def close(self) -> None:
        """All is done: flush and disconnect."""


class WorkerPool:
    """The threads that work on one disk."""

    def __init__(self, disk: str, tally: Tally) -> None:
        self._disk, self._tally = disk, tally
        self._lock = threading.Lock()
        self._failure: BaseException | None = None

    def work(self, todo: Ranges, worker: Callable[[], Worker], run: int) -> None:
        """Deal with all of `todo`, at most `run` blocks at a time; raises what a thread met."""
        pieces = _pieces(todo, run)
        left = min(THREADS, sum(after - first for first, after in todo))
        ended: queue.SimpleQueue[None] = queue.SimpleQueue()
        for _ in range(left):
            threading.Thread(target=self._one, args=(pieces, worker, ended), daemon=True).start()
        while left:
            try:
                ended.get(timeout=REPORT_SECONDS)
                left -= 1
            except queue.Empty:
                self.report()
                if time.monotonic() - self._tally.alive > STALLED_SECONDS:
                    _stalled()
        if self._failure is not None:
            raise self._failure
        self.report()

    def _one(
        self,
        pieces: Iterator[tuple[int, int]],
        worker: Callable[[], Worker],
        ended: "queue.SimpleQueue[None]",
    ) -> None:
        try:
            own = worker()
            while self._failure is None:
                with self._lock:
                    piece = next(pieces, None)
                if piece is None:
                    own.close()
                    return
                own.do(*piece)
        except BaseException as error:  # noqa: BLE001 - raised again by `work`
            self._failure = self._failure or error
        finally:
            ended.put(None)

    def report(self) -> None:
        """Say how far it is."""
        tally = self._tally
        say(
            {
                "event": "progress",
                "disk": self._disk,
                "done_bytes": tally.done,
                "total_bytes": tally.total,
            }
        )


def _pieces(todo: Ranges, run: int) -> Iterator[tuple[int, int]]:
    for first, after in todo:
        for at in range(first, after, run):
            yield at, min(at + run, after)


def _stalled() -> None:
    """The threads hang in system calls that cannot be broken: say so and end."""
    sentence = f"Nothing moved for {STALLED_SECONDS} s."
    say({"error": {"code": "stalled", "sentence": sentence}})
    leave(3)
