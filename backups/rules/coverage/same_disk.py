"""Whether a copy is one of the disk that a VM has now under a target. Pure; coverage, policies and
retention all ask here, so that they never disagree on whether a disk is new.

A disk's image changes its name: an external snapshot puts a file on top, a commit takes it away, a
file is renamed, a move gives it another path. So a disk is known by the chains that were recorded
on both sides, by the file itself (its inode on its host), by the panel's own watch since the copy
was taken, and in doubt by content: what the digests of a later backup said of its parent.
Two images that only share what they back on are two disks: so are linked clones made.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from labpanel.lib.hints import DEEP, READ

# Less content is alike or different by chance: a table of partitions, an empty file system.
LEAST_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class DiskImage:
    """A disk's image at one time: its path on a host, the paths below it, and the file's inode
    there, empty if that is not known."""

    host: str
    path: str
    chain: tuple[str, ...] = ()
    inode: str = ""


@dataclass(frozen=True, slots=True)
class Copied:
    """A copy of a target. `former` is the path that its parent's image had, where their digests
    showed one disk; `replaced`: they showed another disk than the parent's."""

    image: DiskImage
    taken_at: datetime
    former: str = ""
    replaced: bool = False


@dataclass(frozen=True, slots=True)
class Compared:
    """A disk against the list of digests of its parent: bytes that are not zeros and stayed as they
    were (`alike`), and bytes that were something and are something else now (`lost`)."""

    mode: str
    alike: int
    lost: int


def stacked(one: DiskImage, other: DiskImage) -> bool:
    """Whether one of the two lies in the other's chain: a snapshot came, or it was committed."""
    return one.path in other.chain or other.path in one.chain


def same_file(one: DiskImage, other: DiskImage) -> bool:
    """Whether both are one file of one host, whatever its names."""
    return bool(one.inode) and (one.host, one.inode) == (other.host, other.inode)


def goes_on(one: DiskImage, other: DiskImage) -> bool:
    return one.path == other.path or stacked(one, other) or same_file(one, other)


def content_says(now: DiskImage, before: DiskImage, seen: Compared) -> bool | None:
    """Whether the parent's content is still there for the most part; None where that was not
    compared or where there is no doubt, since the images themselves tell."""
    if seen.mode not in {READ, DEEP} or stacked(now, before) or same_file(now, before):
        return None
    if seen.alike + seen.lost < LEAST_BYTES:
        return None
    return seen.alike >= seen.lost


def of_disk(present: DiskImage, since: datetime, copies: Sequence[Copied]) -> list[bool]:
    """Of each copy, in the order given, whether it is one of this disk. `since` is when the panel
    first saw the disk: what was copied after that was this one, through all changes of its image.

    What is known of one copy tells of others: what was committed into the present image last month
    shows only in the chains recorded then."""
    known, formers = [present], set[str]()
    found = [False] * len(copies)
    going = True
    while going:
        going = False
        for at, copy in enumerate(copies):
            if found[at] or not (
                copy.taken_at >= since
                or copy.image.path in formers
                or any(goes_on(copy.image, one) for one in known)
            ):
                continue
            found[at] = going = True
            known.append(copy.image)
            if copy.former:
                formers.add(copy.former)
    replaced = [
        one.taken_at for one, is_it in zip(copies, found, strict=True) if is_it and one.replaced
    ]
    begun = max(replaced, default=None)
    if begun is None:
        return found
    return [is_it and one.taken_at >= begun for one, is_it in zip(copies, found, strict=True)]
