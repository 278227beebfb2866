"""Reads a raw image past its export, with system calls that give little or fail. A program: it
needs the distribution's Python with libnbd."""

import errno
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from labpanel.onhost.blocks import connection

SECTOR = 512


def main(folder: Path) -> None:
    image = folder / "disk.raw"
    image.write_bytes(os.urandom(SECTOR * 3 + 100))
    file = connection.RawFile(str(image))
    content = image.read_bytes() + bytes(SECTOR - 100)
    assert bytes(file.read(len(content), 0)) == content
    assert bytes(file.read(SECTOR, SECTOR)) == content[SECTOR : 2 * SECTOR]

    real, bad = os.preadv, SECTOR

    def in_pieces(handle: int, buffers: Sequence[memoryview], at: int) -> int:
        if at >= bad:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(handle, [buffers[0][:100]], at)

    os.preadv = in_pieces  # type: ignore[assignment]
    try:
        file.read(2 * SECTOR, 0)
    except connection.IoFailed as error:
        assert os.strerror(errno.EIO) in str(error)
    else:
        raise AssertionError("what cannot be read was read")
    assert bytes(file.read(SECTOR - 12, 0)) == content[: SECTOR - 12]
    file.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
