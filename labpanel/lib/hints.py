"""Which blocks of a virtual disk may have changed, before anything was read. Standard library only.

The hint only saves reading. What changed is decided by the digests.
"""

from dataclasses import dataclass

FULL = "full"  # nothing is kept of this disk yet
READ = "full read"  # no trustworthy hint: everything is read, what differs is written
BITMAP = "bitmap"  # QEMU's dirty bitmap names the candidates
UNCHANGED = "unchanged"  # the image was not touched since: nothing needs to be read
DEEP = "deep"  # a full read on purpose, that also tells whether the bitmap had missed something


@dataclass(frozen=True, slots=True)
class Hint:
    """For one disk. `context` is the NBD metadata context of the dirty bitmap, for BITMAP and for
    DEEP where there is one; `why` is a sentence for the manifest and the job's log."""

    mode: str
    why: str
    context: str = ""


EVERYTHING = Hint(READ, "There is no trustworthy hint of what changed, so everything is read.")
