"""The format of a list of digests: how large a block is, and how the file begins. Standard library
only: it is also sent to hosts.

A block is BLOCK bytes of disk (the last one may be shorter). The file begins with one line of JSON,
padded with blanks so that the list starts at byte LIST_AT; then DIGEST_BYTES for each block of the
whole content that a guest sees, ZERO for zeros. Lists written before format 2 start right behind
their line, so a reader takes the line and then the rest.
"""

import json

BLOCK = 256 * 1024
DIGEST_BYTES = 16
ZERO = bytes(DIGEST_BYTES)
LIST_AT = 4096
LONGEST_LINE = 64 << 10
MOST_BYTES = 4 << 30  # the list of a disk of 64 TiB


def header(virtual_bytes: int) -> bytes:
    """The first LIST_AT bytes of the file."""
    line = json.dumps(
        {
            "format": "labpanel digests 2",
            "digest": "the first 16 bytes of SHA-256, zeros for a block of zeros",
            "block_bytes": BLOCK,
            "virtual_bytes": virtual_bytes,
        }
    )
    return line.encode().ljust(LIST_AT - 1) + b"\n"


def end_of(virtual_bytes: int) -> int:
    """Bytes of the file for a disk of this size."""
    blocks = -(-virtual_bytes // BLOCK)
    return LIST_AT + blocks * DIGEST_BYTES
