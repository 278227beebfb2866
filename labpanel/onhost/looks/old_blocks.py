"""Read a little of what lies in images since long: a disk that takes fresh blocks and gives them
back may have lost old ones.

Cheap, and never a write: a few ranges of one image for each file system and look, past the cache
(O_DIRECT), at places that rotate; what could not be read before is tried again. Standard library
only.

Argument: {"images": [...], "again": [{"path", "first", "length"}], "turn": n}. Answer, one JSON
object: "blocks" [{"path", "first", "length", "outcome", "error", "bytes"}]; outcomes: ok (`bytes`
of this look together, or what was tried again), unreadable (from `first` on), skipped.
"""

import errno
import json
import mmap
import os
import socket
import stat
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from labpanel.onhost.looks import turns
from labpanel.onhost.looks.turns import FileSystemWork

RANGES, LENGTH = 8, 128 << 10
SECONDS = 2.0
STEP_SECONDS = 5.0
PAGE = 4096
MOST_IMAGES = 200
MOST_AGAIN = 16
# Steps of the golden ratio come near every place without a list of where one was (low discrepancy).
_GOLDEN = 0.6180339887498949
_BAD = (errno.EIO, errno.EUCLEAN, errno.EILSEQ, errno.ENODATA, errno.EREMOTEIO)


def main() -> None:
    asked = json.loads(sys.argv[1])
    images = [str(path) for path in asked["images"]][:MOST_IMAGES]
    groups = turns.by_file_system([], images)
    for group in groups:
        group.again = [each for each in asked["again"] if each["path"] in group.images]
        group.turn = int(asked["turn"])
    print(json.dumps({"blocks": turns.run(groups, child, STEP_SECONDS)[1]}))


def child(
    group: FileSystemWork, say: Callable[[dict[str, Any]], None], _: Callable[[], bool]
) -> None:
    with socket.socket(socket.AF_UNIX) as lock:
        try:  # one look at a time, so that hung ones don't pile up; it ends with its process
            lock.bind(f"\0labpanel-old-blocks {group.name}"[:100])
        except OSError:
            return
        for found in look(group.images, group.again, group.turn):
            say({"blocks": found})


def look(
    images: "list[str]", again: "list[dict[str, Any]]", turn: int
) -> "Iterator[dict[str, Any]]":
    """What was bad before, then one image: another one at each turn."""
    until = time.monotonic() + SECONDS
    for each in again[:MOST_AGAIN]:
        if time.monotonic() < until:
            yield read_again(str(each["path"]), int(each["first"]), int(each["length"]))
    images = sorted(images)
    yield from read_some(images[turn % len(images)], turn // len(images), until)


def read_again(path: str, first: int, length: int) -> "dict[str, Any]":
    try:
        with ReadImage(path) as image:
            bad = image.bad_in(first, min(length, LENGTH))
    except OSError as error:
        return told(path, first, length, "skipped", error)
    if bad is None:
        return told(path, first, length, "ok", read=length)
    return told(path, first, length, "unreadable", bad[1])


def read_some(path: str, turn: int, until: float) -> "Iterator[dict[str, Any]]":
    read = 0
    try:
        with ReadImage(path) as image:
            for step in range(RANGES):
                where = (turn * RANGES + step + 1) * _GOLDEN % 1.0
                first = image.data_from(int(where * image.size) // PAGE * PAGE)
                if first is None or time.monotonic() > until:
                    break
                length = min(LENGTH, image.size - first)
                bad = image.bad_in(first, length)
                if bad is not None:
                    yield told(path, bad[0], PAGE, "unreadable", bad[1])
                    return
                read += length
    except OSError as error:
        yield told(path, 0, 0, "skipped", error)
        return
    yield told(path, 0, 0, "ok", read=read)


def opened(path: str) -> "tuple[int, bool]":
    """A handle, and whether it reads past the cache; some file systems cannot (open(2))."""
    plain = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
    for more in (os.O_DIRECT | os.O_NOATIME, os.O_DIRECT, 0):
        try:
            return os.open(path, plain | more), bool(more)
        except OSError as error:  # EPERM: another's file must not be read without its access time
            if error.errno not in (errno.EINVAL, errno.EPERM) or not more:
                raise
    raise AssertionError(path)


class ReadImage:
    """A file, or a block device, that is only read. Whatever else has the name is refused."""

    def __init__(self, path: str) -> None:
        self.handle, self.direct = opened(path)
        kind = os.fstat(self.handle).st_mode
        if not (stat.S_ISREG(kind) or stat.S_ISBLK(kind)):
            os.close(self.handle)
            raise OSError(errno.EINVAL, "is not a file")
        self.size = os.lseek(self.handle, 0, os.SEEK_END) // PAGE * PAGE
        self.buffer = mmap.mmap(-1, LENGTH)  # aligned, as O_DIRECT wants it

    def __enter__(self) -> "ReadImage":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.handle)

    def data_from(self, first: int) -> "int | None":
        """Where the next data begin, from the start where none follow; None in an empty file."""
        for begin in (first, 0):
            try:
                found = os.lseek(self.handle, begin, os.SEEK_DATA) // PAGE * PAGE
            except OSError as error:
                if error.errno == errno.ENXIO:
                    continue  # nothing but a hole from there on
                if error.errno == errno.EINVAL:
                    return begin  # a device, or a file system that knows no holes
                raise
            if found < self.size:
                return found
        return None

    def bad_in(self, first: int, length: int) -> "tuple[int, OSError] | None":
        """The first page that cannot be read, and how; None where all can."""
        try:
            self._read(first, length)
        except OSError as error:
            if error.errno not in _BAD:
                raise
            return self._page(first, length) or (first, error)
        return None

    def _read(self, first: int, length: int) -> None:
        if not self.direct:
            os.posix_fadvise(self.handle, first, length, os.POSIX_FADV_DONTNEED)
        os.preadv(self.handle, [memoryview(self.buffer)[:length]], first)

    def _page(self, first: int, length: int) -> "tuple[int, OSError] | None":
        for at in range(first, first + length, PAGE):
            try:
                self._read(at, PAGE)
            except OSError as error:
                if error.errno in _BAD:
                    return at, error
                raise
        return None


def told(
    path: str,
    first: int,
    length: int,
    outcome: str,
    error: "OSError | None" = None,
    read: int = 0,
) -> "dict[str, Any]":
    word = errno.errorcode.get(error.errno or 0, str(error.errno)) if error is not None else ""
    return {
        "path": path,
        "first": first,
        "length": length,
        "outcome": outcome,
        "error": word,
        "bytes": read,
    }


if __name__ == "__main__":
    main()
