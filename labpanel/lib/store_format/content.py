"""How the content of a disk of a generation reads. Standard library only: it is also sent to
hosts."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class ContentRead:
    """`bad` are [first byte, byte after] that are not as backed up, or cannot be read, and
    `unreadable` those of them that cannot; `root` is one digest over the digests of all that was
    read."""

    virtual_bytes: int
    read_bytes: int
    seconds: float
    bad: list[list[int]]
    root: str
    unreadable: list[list[int]] = field(default_factory=list)
