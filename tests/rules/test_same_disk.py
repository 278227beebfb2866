"""A disk stays itself through snapshots, commits, renames and moves; a replaced one is new."""

from datetime import UTC, datetime, timedelta

import pytest

from backups.rules.coverage.same_disk import (
    LEAST_BYTES,
    Compared,
    Copied,
    DiskImage,
    content_says,
    goes_on,
    of_disk,
)
from labpanel.lib.hints import BITMAP, DEEP, FULL, READ, UNCHANGED

NOW = datetime(2026, 11, 22, 23, 15, tzinfo=UTC)
BASE, S1, S2, S3 = (f"/srv/images/home.{name}" for name in ("qcow2", "s1", "s2", "s3"))
OTHER = "/srv/images/other.qcow2"
GIB = 1 << 30


def image(path: str, *chain: str, host: str = "alpha", inode: str = "") -> DiskImage:
    return DiskImage(host, path, chain, inode)


def copy(
    hours: int, path: str, *chain: str, former: str = "", replaced: bool = False, inode: str = ""
) -> Copied:
    at = NOW - timedelta(hours=hours)
    return Copied(image(path, *chain, inode=inode), at, former, replaced)


def told(present: DiskImage, *copies: Copied, since: datetime = NOW) -> list[bool]:
    return of_disk(present, since, copies)


@pytest.mark.parametrize(
    ("present", "copies", "known"),
    [
        # the same image, a snapshot on top, two snapshots on top
        (image(BASE), [copy(3, BASE)], [True]),
        (image(S1, BASE), [copy(3, BASE)], [True]),
        (image(S2, S1, BASE), [copy(3, BASE), copy(2, S1, BASE)], [True, True]),
        # committed after the backup: the present image lies in the recorded chain
        (image(BASE), [copy(3, S1, BASE)], [True]),
        (image(BASE), [copy(3, S2, S1, BASE)], [True]),
        (image(S1, BASE), [copy(3, S2, S1, BASE)], [True]),
        # committed, and another snapshot made since: a copy in between joins them
        (image(S2, BASE), [copy(5, S1, BASE), copy(3, BASE)], [True, True]),
        (
            image(S3, BASE),
            [copy(9, S1, BASE), copy(7, BASE), copy(5, S2, BASE), copy(3, BASE)],
            [True] * 4,
        ),
        # renamed: the same file of the same host
        (image(OTHER, inode="77"), [copy(3, BASE, inode="77")], [True]),
        (image(OTHER, inode="77"), [copy(5, S1, BASE), copy(3, BASE, inode="77")], [True, True]),
        # renamed or copied elsewhere: the digests of a later backup showed one disk
        (image(OTHER), [copy(3, BASE), copy(2, OTHER, former=BASE)], [True, True]),
        (
            image(OTHER),
            [copy(5, S1, BASE), copy(3, BASE), copy(2, OTHER, former=BASE)],
            [True, True, True],
        ),
    ],
)
def test_a_disk_stays_itself(present: DiskImage, copies: list[Copied], known: list[bool]) -> None:
    assert told(present, *copies) == known
    assert told(present, *reversed(copies)) == known[::-1]


@pytest.mark.parametrize(
    ("present", "copies", "known"),
    [
        (image(OTHER), [copy(3, BASE)], [False]),
        # two clones of one template share what they back on, nothing else
        (image(S2, BASE), [copy(3, S1, BASE)], [False]),
        (image(S2, S1, BASE), [copy(3, S3, BASE)], [False]),
        # an inode of another host is another file
        (image(OTHER, host="beta", inode="77"), [copy(3, BASE, inode="77")], [False]),
        (image(OTHER, inode=""), [copy(3, BASE, inode="")], [False]),
        # compared, and found to be another disk: what was kept before is of the one before
        (image(OTHER), [copy(3, BASE), copy(2, OTHER, replaced=True)], [False, True]),
        (image(BASE), [copy(3, BASE), copy(2, BASE, replaced=True)], [False, True]),
        (
            image(BASE),
            [copy(4, BASE), copy(3, S1, BASE), copy(2, BASE, replaced=True), copy(1, BASE)],
            [False, False, True, True],
        ),
    ],
)
def test_another_disk_under_the_same_target_is_new(
    present: DiskImage, copies: list[Copied], known: list[bool]
) -> None:
    assert told(present, *copies) == known
    assert told(present, *reversed(copies)) == known[::-1]


def test_what_the_panel_watched_since_the_copy_is_the_same_disk() -> None:
    """A move gave it another path, or a panel before this one recorded no chains."""
    watched = NOW - timedelta(days=9)
    assert told(image(OTHER, host="beta"), copy(3, BASE), since=watched) == [True]
    assert told(image(OTHER), copy(3, S1), copy(300, S2), since=watched) == [True, False]
    assert told(image(OTHER), copy(3, S1), since=NOW - timedelta(hours=1)) == [False]


def test_no_copies_are_no_trouble() -> None:
    assert told(image(BASE)) == []


@pytest.mark.parametrize(
    ("now", "before", "seen", "says"),
    [
        (image(OTHER), image(BASE), Compared(READ, GIB, 0), True),
        (image(OTHER), image(BASE), Compared(DEEP, GIB, GIB // 2), True),
        (image(OTHER), image(BASE), Compared(READ, 0, GIB), False),
        (image(OTHER), image(BASE), Compared(READ, GIB, 3 * GIB), False),
        (image(BASE), image(BASE), Compared(READ, 0, GIB), False),
        (image(BASE, inode="5"), image(BASE, inode="9"), Compared(READ, 0, GIB), False),
        # no doubt, whatever the guest did to it
        (image(BASE, inode="5"), image(BASE, inode="5"), Compared(READ, 0, GIB), None),
        (image(S1, BASE), image(BASE), Compared(READ, 0, GIB), None),
        (image(BASE), image(S1, BASE), Compared(READ, 0, GIB), None),
        # not compared as a whole
        (image(OTHER), image(BASE), Compared(FULL, 0, 0), None),
        (image(OTHER), image(BASE), Compared(BITMAP, 0, GIB), None),
        (image(OTHER), image(BASE), Compared(UNCHANGED, 0, 0), None),
        # too little to tell
        (image(OTHER), image(BASE), Compared(READ, 0, LEAST_BYTES - 1), None),
        (image(OTHER), image(BASE), Compared(READ, 4096, 0), None),
    ],
)
def test_content_decides_where_the_images_do_not_tell(
    now: DiskImage, before: DiskImage, seen: Compared, says: bool | None
) -> None:
    assert content_says(now, before, seen) is says


def test_a_path_that_goes_on_is_seen_from_both_sides() -> None:
    for one, other in ((image(S1, BASE), image(BASE)), (image(BASE), image(OTHER, S1, BASE))):
        assert goes_on(one, other)
        assert goes_on(other, one)
