"""What the header of a qcow2 image says, read without QEMU: which other files it names.

After QEMU's docs/interop/qcow2.txt ("Header", "Header extensions", "Snapshots"). All numbers there
are big-endian. QEMU itself opens whatever file, address or program a header names; so the header is
looked at first, and what it names is opened only if it was expected. Standard library only.
"""

import os
import struct
from dataclasses import dataclass
from typing import NoReturn

from labpanel.onhost.runtime.plain import refused

_FIXED = struct.Struct(">4sIQIIQI")  # bytes 0-35: magic … crypt_method
_FEATURES = struct.Struct(">Q")  # bytes 72-79 of version 3: incompatible features
_LENGTH = struct.Struct(">I")  # bytes 100-103 of version 3: where the extensions begin
_EXTENSION = struct.Struct(">II")
_END, _BACKING_FORMAT, _DATA_FILE = 0, 0xE2792ACA, 0x44415441
_CORRUPT = 1 << 1  # incompatible feature bit 1
_EXTERNAL_DATA = 1 << 2  # incompatible feature bit 2
_SNAPSHOTS = struct.Struct(">IQ")  # bytes 60-71: their number, where their table lies
_SNAPSHOT = struct.Struct(">QIHHIIQII")  # the fixed part of an entry of that table
_MOST_NAMED = 64
_V2_LENGTH, _LEAST_V3 = 72, 104
_CLUSTER_BITS = range(9, 22)  # QEMU takes 512 bytes to 2 MiB
_LONGEST_NAME = 1023
_MOST_EXTENSIONS = 64


@dataclass(frozen=True)
class Header:
    """`backing_file` and `backing_format` are what the header says, empty for none; `data_file`
    whether the guest's data lies in another file; `encrypted` whether a key is needed; `corrupt`
    whether QEMU has marked the image so; `snapshots` is how many states lie inside it."""

    virtual_bytes: int
    backing_file: str
    backing_format: str
    data_file: bool
    encrypted: bool
    corrupt: bool = False
    snapshots: int = 0


def header(handle: int, shown: str) -> Header:
    """The header of an open image; `shown` is its name for the user. Raises Problem."""
    begin = os.pread(handle, 1 << 16, 0)
    if len(begin) < _V2_LENGTH or not begin.startswith(b"QFI\xfb"):
        _broken(shown, "it is not a qcow2 image")
    _, version, at, length, cluster_bits, virtual_bytes, crypt = _FIXED.unpack_from(begin)
    if version not in {2, 3} or cluster_bits not in _CLUSTER_BITS:
        _broken(shown, f"its header names version {version} and 2^{cluster_bits} bytes a cluster")
    cluster = 1 << cluster_bits
    if cluster > len(begin):
        begin = os.pread(handle, cluster, 0)
    features, extensions = 0, _V2_LENGTH
    if version == 3:
        if len(begin) < _LEAST_V3:
            _broken(shown, "its header is cut off")
        (features,) = _FEATURES.unpack_from(begin, 72)
        (extensions,) = _LENGTH.unpack_from(begin, 100)
        if not _LEAST_V3 <= extensions <= min(cluster, len(begin)):
            _broken(shown, f"its header has a length of {extensions} bytes")
    found = _extensions(begin[:cluster], extensions, at, shown)
    return Header(
        virtual_bytes=virtual_bytes,
        backing_file=_name(begin[:cluster], at, length, shown),
        backing_format=os.fsdecode(found.get(_BACKING_FORMAT, b"")),
        data_file=bool(features & _EXTERNAL_DATA) or _DATA_FILE in found,
        encrypted=crypt != 0,
        corrupt=bool(features & _CORRUPT),
        snapshots=_SNAPSHOTS.unpack_from(begin, 60)[0],
    )


def snapshots(handle: int) -> list[str]:
    """Names of the states inside an open image, the first _MOST_NAMED; one that cannot be read is
    left out with those that follow it. The image's header was read before (`header`)."""
    count, at = _SNAPSHOTS.unpack(os.pread(handle, _SNAPSHOTS.size, 60))
    found: list[str] = []
    for _ in range(min(count, _MOST_NAMED)):
        fixed = os.pread(handle, _SNAPSHOT.size, at)
        if len(fixed) < _SNAPSHOT.size:
            return found
        _, _, id_length, name_length, _, _, _, _, extra = _SNAPSHOT.unpack(fixed)
        begin = at + _SNAPSHOT.size + extra + id_length
        if extra > _LONGEST_NAME or begin + name_length >= 1 << 63:
            return found
        found.append(os.pread(handle, name_length, begin).decode("utf-8", "replace"))
        at += -(-(_SNAPSHOT.size + extra + id_length + name_length) // 8) * 8
    return found


def _name(begin: bytes, at: int, length: int, shown: str) -> str:
    if not at:
        return ""
    if length > _LONGEST_NAME or at + length > len(begin):
        _broken(shown, "the name of its backing file does not lie in its header")
    return os.fsdecode(begin[at : at + length])


def _extensions(begin: bytes, at: int, until: int, shown: str) -> dict[int, bytes]:
    """Type → data; they end with a type of 0, or where the backing file's name begins."""
    found: dict[int, bytes] = {}
    until = until or len(begin)
    for _ in range(_MOST_EXTENSIONS):
        if at + _EXTENSION.size > min(until, len(begin)):
            return found
        kind, length = _EXTENSION.unpack_from(begin, at)
        at += _EXTENSION.size
        if kind == _END:
            return found
        if length > min(until, len(begin)) - at:
            _broken(shown, "an extension of its header is longer than the header")
        if kind in found:
            _broken(shown, "its header holds an extension twice")
        found[kind] = begin[at : at + length]
        at += -(-length // 8) * 8
    return _broken(shown, f"its header holds more than {_MOST_EXTENSIONS} extensions")


def _broken(shown: str, why: str) -> NoReturn:
    raise refused(shown, why)
