"""The verdict on one virtual disk."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backups.rules.coverage import AGE_LIMIT, LEVELS, ORDER, Kept, judge

NOW = datetime(2026, 11, 22, 23, 15, tzinfo=UTC)
DAY = timedelta(days=1)


def kept(
    age: timedelta = DAY,
    *,
    off_host: bool = True,
    same_drive: bool = False,
    damage: str = "",
    verified: bool = True,
    rehearsed: bool = True,
) -> Kept:
    taken = NOW - age
    return Kept(
        generation=f"g{age.days}",
        store="far",
        taken_at=taken,
        off_host=off_host,
        same_drive=same_drive,
        damage=damage,
        verified_at=taken if verified else None,
        rehearsed_at=taken if rehearsed else None,
    )


@pytest.mark.parametrize(
    ("found", "verdict", "reason"),
    [
        ([], "none", "no backup"),
        ([kept()], "covered", "verified and rehearsed"),
        ([kept(rehearsed=False)], "unrehearsed", "never booted"),
        ([kept(verified=False)], "unverified", "never read back"),
        ([kept(AGE_LIMIT + DAY)], "stale", "9 days old"),
        ([kept(off_host=False)], "local only", "same host"),
        ([kept(off_host=False, same_drive=True)], "local only", "very drive"),
        ([kept(damage="vda.qcow2 is gone")], "broken", "vda.qcow2 is gone"),
        ([kept(damage="rot"), kept(2 * DAY)], "broken", "the one before is whole"),
        ([kept(off_host=False), kept(3 * DAY)], "covered", "another machine"),
        ([kept(off_host=False), kept(AGE_LIMIT + 2 * DAY)], "stale", "10 days old"),
        ([kept(2 * DAY, damage="rot"), kept()], "covered", "another machine"),
    ],
)
def test_verdict_and_reason(found: list[Kept], verdict: str, reason: str) -> None:
    answer = judge(found, now=NOW)
    assert answer.verdict == verdict
    assert reason in answer.reason


def test_the_age_limit_itself_is_not_stale() -> None:
    assert judge([kept(AGE_LIMIT)], now=NOW).verdict == "covered"


def test_an_excluded_disk_says_who_and_why() -> None:
    answer = judge([], now=NOW, excluded="olga took it out: swap")
    assert (answer.verdict, answer.reason) == ("excluded", "olga took it out: swap")


def test_a_silent_host_hides_good_news_only() -> None:
    silent = "alpha does not answer: no route"
    assert judge([kept()], now=NOW, unknown=silent).verdict == "unknown"
    assert judge([], now=NOW, unknown=silent).verdict == "none"
    assert judge([kept(off_host=False)], now=NOW, unknown=silent).verdict == "local only"


generations = st.builds(
    kept,
    st.timedeltas(timedelta(0), timedelta(days=40)),
    off_host=st.booleans(),
    damage=st.sampled_from(["", "rot"]),
    verified=st.booleans(),
    rehearsed=st.booleans(),
)


@given(st.lists(generations, max_size=6))
def test_never_good_without_a_whole_fresh_copy_elsewhere(found: list[Kept]) -> None:
    answer = judge(found, now=NOW)
    assert answer.verdict in ORDER
    if LEVELS[answer.verdict] in {"good", "watch"}:
        assert any(
            one.off_host and not one.damage and NOW - one.taken_at <= AGE_LIMIT for one in found
        )


# One backup of a VM runs at a time: no two generations are of one instant.
@given(st.lists(generations, min_size=1, max_size=6, unique_by=lambda one: one.taken_at))
def test_the_order_of_the_list_does_not_matter(found: list[Kept]) -> None:
    there, back = judge(found, now=NOW), judge(found[::-1], now=NOW)
    assert (there.verdict, there.reason) == (back.verdict, back.reason)
