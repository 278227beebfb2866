"""The file that a copy of the panel is.

    RECOVER.txt   how to open it without labpanel
    key.age       the secret half of the key, encrypted with the passphrase
    panel.age     encrypted to that key: manifest.json and the panel's files, as .tar.gz

All three in a plain tar archive, in this order. Opening it believes nothing: names, order and sizes
are fixed or announced, and a file is only taken if its SHA-256 is the announced one.
"""

import hashlib
import io
import os
import shutil
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from labpanel.adapters.errors import Refused
from labpanel.adapters.here import age, tar_stream
from labpanel.lib.panel_copy import (
    CONTENTS,
    CONTENTS_BYTES,
    PARTS,
    Contents,
    NotACopy,
    Part,
    parse_contents,
)

RECOVER, KEY, PANEL = "RECOVER.txt", "key.age", "panel.age"
_OUTER = {RECOVER: 16 * 1024, KEY: age.SEALED_BYTES, PANEL: 8 * 2**30 - 1}
_CHUNK = 1 << 20
_GZIP = 16 + zlib.MAX_WBITS  # zlib's word for a gzip header around the stream
TEXT = """\
A copy of a labpanel: its database, keys and settings, made at {moment:%Y-%m-%d %H:%M:%S} UTC.

With labpanel:  ./panel import FILE
Without it:     tar xf FILE
                age -d -i key.age panel.age | tar xz      (asks for the passphrase)

age is in Debian's package of that name; database.sqlite3 opens with sqlite3.
"""


@dataclass(frozen=True, slots=True)
class UnpackedCopy:
    """A copy unpacked into a folder: `files` are those of its parts, by name."""

    contents: Contents
    files: Mapping[str, Path]


def pack(
    files: Mapping[str, Path], key: age.CopyKey, panel_id: str, now: datetime, work: Path
) -> Path:
    """Make a copy in the private folder `work`; the path of the finished, synced file.

    `files` are parts of labpanel.lib.panel_copy.PARTS and where each lies. Raises OSError, Refused.
    """
    contents = Contents(now, panel_id, tuple(_parts(files)))
    plain, sealed, whole = (work / name for name in ("panel.tar.gz", PANEL, "copy.tar"))
    with _new(plain) as file:
        _write_inner(_Gzip(file), contents, files)
    _new(sealed).close()  # pyrage would make it readable to others
    age.encrypt(plain, sealed, key.recipient)
    plain.unlink()
    moment = int(now.timestamp())
    with _new(whole) as file:
        for name, text in ((RECOVER, TEXT.format(moment=now)), (KEY, key.sealed)):
            data = text.encode()
            tar_stream.write_header(file, name, len(data), moment)
            file.write(data)
            tar_stream.pad(file, len(data))
        size = sealed.stat().st_size
        tar_stream.write_header(file, PANEL, size, moment)
        with sealed.open("rb") as source:
            shutil.copyfileobj(source, file, _CHUNK)
        tar_stream.pad(file, size)
        tar_stream.write_end(file)
        file.flush()
        os.fsync(file.fileno())
    sealed.unlink()
    return whole


def _parts(files: Mapping[str, Path]) -> Iterator[Part]:
    for name in (name for name in PARTS if name in files):
        with files[name].open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        yield Part(name, files[name].stat().st_size, digest)


def _write_inner(target: "_Gzip", contents: Contents, files: Mapping[str, Path]) -> None:
    moment = int(contents.made_at.timestamp())
    text = contents.as_text().encode()
    tar_stream.write_header(target, CONTENTS, len(text), moment)
    target.write(text)
    tar_stream.pad(target, len(text))
    for part in contents.parts:
        tar_stream.write_header(target, part.name, part.size, moment)
        with files[part.name].open("rb") as source:
            while data := source.read(_CHUNK):
                target.write(data)
        tar_stream.pad(target, part.size)
    tar_stream.write_end(target)
    target.close()


class _Gzip:
    """Compresses into a file. `gzip` itself would write the time and a name."""

    def __init__(self, target: BinaryIO) -> None:
        self._target, self._packer = target, zlib.compressobj(6, zlib.DEFLATED, _GZIP)

    def write(self, data: bytes, /) -> None:
        self._target.write(self._packer.compress(data))

    def close(self) -> None:
        self._target.write(self._packer.flush())


class _Gunzip:
    """Decompresses from a file, never more at once than is asked for."""

    def __init__(self, source: BinaryIO) -> None:
        self._source, self._unpacker = source, zlib.decompressobj(_GZIP)

    def read(self, size: int, /) -> bytes:
        try:
            return self._read(size)
        except zlib.error as error:
            raise NotACopy("This copy is damaged: it cannot be decompressed.") from error

    def _read(self, size: int) -> bytes:
        while not self._unpacker.eof:
            data = self._unpacker.unconsumed_tail or self._source.read(_CHUNK)
            found = self._unpacker.decompress(data, size)
            if found or not data:
                return found
        return b""


class _Window(io.RawIOBase):
    """The next `size` bytes of a file, as a file."""

    def __init__(self, source: BinaryIO, size: int) -> None:
        self._source, self._left = source, size

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        data = self._source.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(data)
        return data


def unpack(path: Path, passphrase: Callable[[], str], work: Path) -> UnpackedCopy:
    """Open a copy into the private folder `work`. `passphrase` is asked once, when all that can be
    known without it is in order. Raises NotACopy, an AdapterError, or OSError."""
    with path.open("rb") as file:
        _small(file, RECOVER)
        sealed = _small(file, KEY)
        size = _expect(file, PANEL)
        room_for(work, size * 2)
        identity = age.open_key(_ascii(sealed), passphrase())
        plain = work / "panel.tar.gz"
        with _new(plain) as target:
            age.decrypt(_Window(file, size), target, identity)  # type: ignore[arg-type]
    with plain.open("rb") as file:
        opened = _read_inner(_Gunzip(file), work)
    plain.unlink()
    return opened


def _read_inner(source: _Gunzip, work: Path) -> UnpackedCopy:
    header = tar_stream.read_header(source)
    if header is None or header[0] != CONTENTS or header[1] > CONTENTS_BYTES:
        raise NotACopy(f"This is not a copy of a panel: {CONTENTS} does not come first.")
    pieces: list[bytes] = []
    tar_stream.pour(source, header[1], pieces.append)
    contents = parse_contents(b"".join(pieces))
    room_for(work, contents.total_bytes)
    files = {}
    for part in contents.parts:
        if tar_stream.read_header(source) != (part.name, part.size):
            raise NotACopy(f"This copy is damaged: {part.name} is not where it should be.")
        files[part.name] = work / part.name.replace("/", "-")
        _take(source, part, files[part.name])
    if tar_stream.read_header(source) is not None:
        raise NotACopy("This is not a copy of a panel: there is more in it than it announces.")
    return UnpackedCopy(contents, files)


def _take(source: _Gunzip, part: Part, target: Path) -> None:
    digest = hashlib.sha256()
    with _new(target) as file:

        def take(data: bytes) -> None:
            digest.update(data)
            file.write(data)

        tar_stream.pour(source, part.size, take)
        file.flush()
        os.fsync(file.fileno())
    if digest.hexdigest() != part.sha256:
        raise NotACopy(f"This copy is damaged: {part.name} is not what was copied.")


def room_for(folder: Path, size: int) -> None:
    """Raises Refused unless `size` bytes fit beside what is there, with something to spare."""
    free = shutil.disk_usage(folder).free
    if size + (16 << 20) > free:
        raise Refused(
            f"There is no room in {folder}: {size >> 20} MiB are needed and {free >> 20} MiB are "
            "free."
        )


def _small(file: BinaryIO, name: str) -> bytes:
    pieces: list[bytes] = []
    tar_stream.pour(file, _expect(file, name), pieces.append)
    return b"".join(pieces)


def _expect(file: BinaryIO, name: str) -> int:
    header = tar_stream.read_header(file)
    if header is None or header[0] != name or header[1] > _OUTER[name]:
        raise NotACopy("This is not a copy of a panel: its archive holds something else.")
    return header[1]


def _ascii(data: bytes) -> str:
    return data.decode("ascii", "replace")


def _new(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "wb")
