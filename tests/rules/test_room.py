"""Little room is said long before nothing fits."""

import pytest

from backups.rules.backup import scratch
from hosts.rules.health.room import FreeRoom, RoomNeeds, judge, scratch_needs
from labpanel.lib.growth import DaysLeft
from labpanel.symptoms.facts.file_systems import LittleRoom
from labpanel.symptoms.words import file_systems as words

GIB, TIB = 1 << 30, 1 << 40
PLACE = "/srv/images"


def left(days: float) -> DaysLeft:
    return DaysLeft(days, days * 0.8, days * 1.2)


def room(free: float, size: int = 100 * GIB, **files: int) -> FreeRoom:
    return FreeRoom(size, round(size * free), **files)


NOTHING = RoomNeeds()
CASES = [
    ("half empty", room(0.5), NOTHING, "good", ""),
    ("15 %", room(0.15), NOTHING, "good", ""),
    ("9 %", room(0.09), NOTHING, "watch", "has little room on /srv/images: 9 % free"),
    ("1 %", room(0.01), NOTHING, "bad", "has little room on /srv/images: 1 % free"),
    ("nothing", room(0.0), NOTHING, "bad", "has little room on /srv/images: 0 % free"),
    ("5 % of 20 TiB is a lot", room(0.05, 20 * TIB), NOTHING, "good", ""),
    ("0.2 % of 20 TiB is not", room(0.002, 20 * TIB), NOTHING, "bad", "has little room"),
    (
        "a backup that will not begin",
        room(0.2, 8 * GIB),
        RoomNeeds(backup=2 * GIB, whose="home"),
        "bad",
        "has little room on /srv/images: 20 % free, too little for the next backup of home",
    ),
    (
        "images that may grow past the end",
        room(0.18),
        RoomNeeds(growth=40 * GIB),
        "watch",
        "has little room on /srv/images: 18 % free, less than its images may grow by",
    ),
    ("thin images with much room", room(0.6), RoomNeeds(growth=500 * GIB), "good", ""),
    (
        *("full in nine days", room(0.3), RoomNeeds(left=left(9.2))),
        *("watch", "free, full in about 9 days"),
    ),
    ("full today", room(0.3), RoomNeeds(left=left(0.4)), "watch", "30 % free, full in about a day"),
    ("full in a year", room(0.3), RoomNeeds(left=left(365)), "good", ""),
    ("9 % and nine days", room(0.09), RoomNeeds(left=left(30)), "watch", ", full in about 30 days"),
    ("few inodes", room(0.5, files=1000, files_free=40), NOTHING, "watch", "few inodes are left"),
    ("no inodes", room(0.5, files=1000, files_free=4), NOTHING, "bad", "almost no inodes are left"),
    ("btrfs has no fixed number", room(0.5, files=0, files_free=0), NOTHING, "good", ""),
    ("says nothing", FreeRoom(0, 0), NOTHING, "unknown", ""),
]  # fmt: skip


@pytest.mark.parametrize(
    ("seen", "needs", "level", "reason"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_verdict(seen: FreeRoom, needs: RoomNeeds, level: str, reason: str) -> None:
    verdict = judge(seen, needs)
    assert verdict.level == level
    assert (verdict.little is None) == (not reason)
    if verdict.little is not None:
        headline = words.little_room(LittleRoom("alpha", PLACE, "", verdict.little)).headline
        assert headline.startswith("alpha has little room on /srv/images: ")
        assert reason in headline


def test_what_was_little_stays_so_until_there_is_more() -> None:
    assert judge(room(0.11), NOTHING).level == "good"
    assert judge(room(0.11), NOTHING, was_little=True).level == "watch"
    assert judge(room(0.13), NOTHING, was_little=True).level == "good"


def test_less_room_is_never_better() -> None:
    order = ("good", "watch", "bad")
    for needs in (NOTHING, RoomNeeds(backup=5 * GIB, whose="a"), RoomNeeds(growth=90 * GIB)):
        levels = [order.index(judge(room(n / 200), needs).level) for n in range(201)]
        assert levels == sorted(levels, reverse=True)


def test_what_a_backup_needs_is_what_it_asks_for() -> None:
    for size in (1 * GIB, 8 * GIB, 4 * TIB):
        for virtual in (0, GIB, 100 * GIB):
            need = scratch_needs(size, virtual)
            assert scratch.enough(need, size, virtual)
            assert not scratch.enough(need - 1, size, virtual)


def test_the_figures_are_kept() -> None:
    needs = RoomNeeds(backup=2 * GIB, whose="home", growth=40 * GIB, left=left(9))
    rows = judge(room(0.2), needs).evidence
    assert {row.what: str(row.value).replace("\u00a0", " ") for row in rows} == {
        "free": "20 GiB of 100 GiB",
        "needed by the next backup of home": "2 GiB",
        "by which thin images may grow": "40 GiB",
        "full in, by the last days' samples": "about 9 days",
    }
