"""Which copies stay: whatever the numbers and the damage, the last good one of a disk does."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backups.rules.copies.retention import (
    DROPPED,
    GONE,
    KEPT,
    CopyFate,
    Keep,
    RetainedCopy,
    dropped,
    judge,
)

MONDAY = datetime(2026, 11, 23, 12, tzinfo=UTC)
THREE = Keep(last=3, daily=0, weekly=0, monthly=0, zone="UTC")


def copy(
    number: int, days: float, targets: str = "vda", bad: str = "", **more: object
) -> RetainedCopy:
    """Copy `number`, taken `days` before MONDAY."""
    known, rotten = frozenset(targets.split()), frozenset(bad.split())
    when = MONDAY - timedelta(days=days)
    return RetainedCopy(f"g{number}", when, known - rotten, rotten, **more)  # type: ignore[arg-type]


def fates(
    copies: list[RetainedCopy], keep: Keep | None = THREE, frozen: str = ""
) -> dict[str, str]:
    return {each.key: each.sentence for each in judge(copies, keep, frozen)}


def test_the_storys_policy_keeps_the_last_three() -> None:
    weekly = [copy(number, 7 * number) for number in range(5)]
    assert fates(weekly) == {
        "g0": "kept: one of the last 3",
        "g1": "kept: one of the last 3",
        "g2": "kept: one of the last 3",
        "g3": "dropped: older than the last 3 copies",
        "g4": "dropped: older than the last 3 copies",
    }


def test_days_weeks_and_months_are_counted_where_there_is_a_copy() -> None:
    keep = Keep(last=1, daily=2, weekly=2, monthly=2, zone="UTC")
    copies = [copy(n, days) for n, days in enumerate([0, 0.1, 1, 2, 8, 40, 41, 100])]
    assert fates(copies, keep) == {
        "g0": "kept: the last one, newest of 23 November 2026, newest of week 48 of 2026, "
        "newest of November 2026",
        "g1": "dropped: older than the last copy, and not among the 2 daily ones, 2 weekly ones "
        "and 2 monthly ones",
        "g2": "kept: newest of 22 November 2026, newest of week 47 of 2026",
        "g3": fates(copies, keep)["g1"],
        "g4": fates(copies, keep)["g1"],
        "g5": "kept: newest of October 2026",
        "g6": fates(copies, keep)["g1"],
        "g7": fates(copies, keep)["g1"],
    }


@pytest.mark.parametrize(("zone", "same_day"), [("UTC", False), ("Asia/Tokyo", True)])
def test_a_day_is_one_of_the_policys_zone(zone: str, same_day: bool) -> None:
    """23:00 and 01:00 UTC lie in one day of Tokyo (08:00 and 10:00)."""
    night = datetime(2026, 11, 22, 23, tzinfo=UTC)
    copies = [
        RetainedCopy(key, at, frozenset({"vda"}))
        for key, at in (("late", night + timedelta(hours=2)), ("early", night))
    ]
    keep = Keep(last=1, daily=7, weekly=0, monthly=0, zone=zone)
    assert (judge(copies, keep)[1].fate == DROPPED) is same_day


def test_a_week_at_the_turn_of_the_year_is_one() -> None:
    """ISO week 53 of 2026 holds both New Year's Eve and 1 January 2027."""
    eve = datetime(2026, 12, 31, 12, tzinfo=UTC)
    copies = [
        RetainedCopy("new", eve + timedelta(days=1), frozenset({"vda"})),
        RetainedCopy("old", eve, frozenset({"vda"})),
    ]
    keep = Keep(last=1, daily=0, weekly=5, monthly=0, zone="UTC")
    assert [each.fate for each in judge(copies, keep)] == [KEPT, DROPPED]


def test_the_last_copy_of_a_disk_whose_place_another_took_stays() -> None:
    before = [
        copy(number, number, "vda vdb", former={"vdb": "/srv/old.qcow2"}) for number in (4, 5, 6)
    ]
    found = fates([*(copy(number, number, "vda vdb") for number in range(4)), *before])
    assert found["g3"] == "dropped: older than the last 3 copies"
    assert found["g4"] == "kept: the last good one of vdb as it was in /srv/old.qcow2"
    assert found["g5"] == found["g6"] == found["g3"]


def test_a_damaged_copy_takes_nobodys_place() -> None:
    copies = [copy(0, 0, bad="vda"), *(copy(n, n) for n in range(1, 5))]
    found = fates(copies)
    assert found["g0"] == (
        "kept: not whole, so it counts for nothing until 3 whole copies are newer"
    )
    assert [found[f"g{n}"][:4] for n in range(1, 5)] == ["kept", "kept", "kept", "drop"]
    later = [copy(9, -3), copy(8, -2), copy(7, -1), *copies]
    assert (
        fates(later)["g0"]
        == "dropped: vda of it is not whole, and it is older than the last 3 copies"
    )


def test_the_last_good_copy_of_a_disk_stays() -> None:
    copies = [*(copy(n, n) for n in range(3)), copy(3, 3, "vda vdb"), copy(4, 4, "vda vdb vdc")]
    found = fates(copies)
    assert found["g3"] == "kept: the last good one of vdb"
    assert found["g4"] == "kept: the last good one of vdc"
    assert fates([copy(9, -1, "vda vdb vdc"), *copies])["g3"].startswith("dropped")


def test_what_is_left_of_a_disk_without_a_good_copy_stays() -> None:
    copies = [
        *(copy(n, n) for n in range(3)),
        copy(3, 3, "vda vdb", bad="vdb"),
        copy(4, 4, "vda vdb", bad="vdb"),
    ]
    found = fates(copies)
    assert found["g3"] == found["g4"] == "kept: no good copy of vdb is left"


def test_the_last_one_that_was_read_back_stays() -> None:
    copies = [
        *(copy(n, n) for n in range(3)),
        copy(3, 3),
        copy(4, 4, proven=True),
        copy(5, 5, proven=True),
    ]
    found = fates(copies)
    assert found["g4"] == "kept: the last one of vda that was read back"
    assert found["g3"].startswith("dropped")
    assert found["g5"].startswith("dropped")


def test_nothing_is_merged_into_a_damaged_disk() -> None:
    copies = [
        copy(0, 0),
        copy(1, 1),
        copy(2, 2, bad="vda", parents={"vda": "g3"}),
        copy(3, 3),
        copy(4, 4, parents={"vda": "g5"}),
        copy(5, 5),
    ]
    keep = Keep(last=3, daily=0, weekly=0, monthly=0, zone="UTC")
    found = fates(copies, keep)
    assert found["g3"].startswith("kept: one of the last 3")
    keep = Keep(last=2, daily=0, weekly=0, monthly=0, zone="UTC")
    protected = [
        *copies[:2],
        copy(2, 2, bad="vda", parents={"vda": "g3"}, protected="I say so"),
        *copies[3:],
    ]
    found = fates(protected, keep)
    assert found["g3"] == "kept: vda of g2 builds on it, and is not whole"
    assert found["g4"].startswith("dropped")


def test_holds_protection_gone_ones_and_no_policy() -> None:
    copies = [
        *(copy(n, n) for n in range(4)),
        copy(4, 4, protected="before the upgrade"),
        copy(5, 5, gone=True),
    ]
    found = fates(copies)
    assert found["g4"] == "kept: protected because before the upgrade"
    assert found["g5"] == "gone: it is not in the store any more, and counts for nothing"
    assert {each[:4] for each in fates(copies, None).values()} == {"kept", "gone"}
    held = fates(copies, THREE, "home is held")
    assert held["g3"] == "kept: home is held"


TARGETS = ("vda", "vdb", "vdc")


@st.composite
def many(draw: st.DrawFn) -> list[RetainedCopy]:
    found = []
    for number in range(draw(st.integers(0, 14))):
        held = draw(st.sets(st.sampled_from(TARGETS), min_size=1))
        bad = draw(st.sets(st.sampled_from(TARGETS))) & held if draw(st.booleans()) else set()
        found.append(
            RetainedCopy(
                f"g{number}",
                MONDAY - timedelta(hours=draw(st.integers(0, 3000))),
                frozenset(held - bad),
                frozenset(bad),
                proven=draw(st.booleans()),
                protected=draw(st.sampled_from(["", "", "dear to me"])),
                gone=draw(st.integers(0, 9)) == 0,
                doubt=draw(st.sampled_from(["", "", "", "is not this panel's"])),
                displaces=draw(st.integers(0, 3)) > 0,
            )
        )
    return found


keeps = st.builds(
    Keep,
    last=st.integers(1, 5),
    daily=st.integers(0, 5),
    weekly=st.integers(0, 5),
    monthly=st.integers(0, 5),
    zone=st.sampled_from(["UTC", "Asia/Tokyo", "America/St_Johns"]),
)


def kept_of(copies: list[RetainedCopy], verdicts: list[CopyFate]) -> list[RetainedCopy]:
    by_key = {each.key: each for each in copies}
    return [by_key[each.key] for each in verdicts if each.fate == KEPT]


@given(many(), keeps)
def test_whatever_the_numbers_nothing_good_is_lost(copies: list[RetainedCopy], keep: Keep) -> None:
    verdicts = judge(copies, keep)
    assert sorted(each.key for each in verdicts) == sorted(each.key for each in copies)
    assert all(each.reason for each in verdicts)
    kept = kept_of(copies, verdicts)
    assert all(each in kept for each in copies if each.doubt and not each.gone)
    here = [each for each in copies if not each.gone and not each.doubt and each.displaces]
    assert {each.key for each in verdicts if each.fate == GONE} == {c.key for c in copies if c.gone}
    assert all(each in kept for each in here if each.protected)
    for target in TARGETS:
        good = [each for each in here if target in each.good]
        holding = [each for each in here if target in each.good | each.bad]
        if good:
            newest = max(good, key=lambda each: (each.taken_at, each.key))
            assert newest in kept
            assert not any(each.proven for each in good) or any(
                each.proven and target in each.good for each in kept
            )
        else:
            assert all(each in kept for each in holding)
    whole = sorted((c for c in here if c.whole), key=lambda c: (c.taken_at, c.key), reverse=True)
    assert all(each in kept for each in whole[: keep.last])


@given(many(), keeps)
def test_what_a_prune_leaves_is_kept_by_the_next(copies: list[RetainedCopy], keep: Keep) -> None:
    """Dropping changes no verdict of what is left: a second prune finds nothing to do."""
    left = [each for each in copies if each.key not in dropped(judge(copies, keep))]
    assert dropped(judge(left, keep)) == []


@given(many(), keeps)
def test_days_are_each_counted_once(copies: list[RetainedCopy], keep: Keep) -> None:
    zone = ZoneInfo(keep.zone)
    by_key = {each.key: each for each in copies if each.displaces and not each.doubt}
    judged = [each for each in judge(copies, keep) if each.key in by_key]
    wanted = [each for each in judged if "newest of" in each.reason]
    days = [
        by_key[each.key].taken_at.astimezone(zone).date()
        for each in wanted
        if f"newest of {by_key[each.key].taken_at.astimezone(zone).day} " in each.reason
    ]
    assert len(days) == len(set(days)) <= keep.daily


@given(many(), keeps)
def test_what_nobody_vouches_for_pushes_nothing_out(copies: list[RetainedCopy], keep: Keep) -> None:
    """With and without them, every other copy has the same fate, or a milder one."""
    vouched = [each for each in copies if each.displaces and not each.doubt]
    alone = set(dropped(judge(vouched, keep)))
    assert set(dropped(judge(copies, keep))) & {each.key for each in vouched} <= alone


@given(many(), keeps)
def test_the_newest_proven_copy_of_a_disk_always_stays(
    copies: list[RetainedCopy], keep: Keep
) -> None:
    kept = kept_of(copies, judge(copies, keep))
    here = [each for each in copies if not each.gone and not each.doubt and each.displaces]
    for target in TARGETS:
        proven = [each for each in here if target in each.good and each.proven]
        if proven:
            assert max(proven, key=lambda each: (each.taken_at, each.key)) in kept


def test_three_unsigned_copies_do_not_replace_the_good_one() -> None:
    real = copy(9, 9)
    odd = [copy(n, n, displaces=False) for n in range(3)]
    ahead = [copy(n, -n, doubt="is dated in the future") for n in range(4, 7)]
    found = fates([real, *odd, *ahead])
    assert found["g9"] == "kept: one of the last 3"
    assert found["g4"] == (
        "kept: it is dated in the future, so it counts for nothing and is left alone"
    )
    assert found["g0"] == "kept: one of the last 3"
    newer = [copy(n, n / 10 - 5) for n in range(10, 13)]
    assert fates([real, *odd, *newer])["g0"].startswith("dropped")
