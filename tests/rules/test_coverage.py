"""The verdict on one virtual disk."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backups.rules.coverage.coverage import LEVELS, ORDER, DiskCopy, Limits, judge

NOW = datetime(2026, 11, 22, 23, 15, tzinfo=UTC)
DAY = timedelta(days=1)
AGE = Limits().age
NIGHTLY = Limits(age=2 * DAY, verify=8 * DAY, rehearse=31 * DAY, policy="nightly")
UNBOOTED = Limits(rehearse=None, policy="unbooted")
GAP = ((0, 4096), (1 << 20, (1 << 20) + 8192))


def kept(
    age: timedelta = DAY,
    *,
    store: str = "far",
    off_host: bool = True,
    same_drive: bool = False,
    damage: str = "",
    verified: timedelta | None = timedelta(0),
    rehearsed: timedelta | None = timedelta(0),
    unreadable: tuple[tuple[int, int], ...] = (),
) -> DiskCopy:
    """`verified` and `rehearsed` are how long ago; None: never."""
    return DiskCopy(
        generation=f"g{age.days}",
        store=store,
        taken_at=NOW - age,
        off_host=off_host,
        same_drive=same_drive,
        damage=damage,
        verified_at=None if verified is None else NOW - verified,
        rehearsed_at=None if rehearsed is None else NOW - rehearsed,
        unreadable=unreadable,
    )


NEAR = kept(store="near", off_host=False)


@pytest.mark.parametrize(
    ("found", "verdict", "reason"),
    [
        ([], "none", "no policy asks for one"),
        ([kept()], "covered", "a copy was last booted just now"),
        ([kept(rehearsed=None)], "unrehearsed", "no copy was ever booted"),
        ([kept(rehearsed=40 * DAY)], "unrehearsed", "booted 40 d ago; that counts for 31 d"),
        ([kept(verified=None)], "unverified", "never read back"),
        ([kept(verified=9 * DAY)], "unverified", "last read back 9 d ago; verify it again"),
        ([kept(AGE + DAY)], "stale", "9 d old; the limit is 8 d"),
        ([NEAR], "local only", "same host"),
        ([kept(off_host=False, same_drive=True)], "local only", "very drive"),
        ([kept(damage="vda is gone")], "broken", "The only backup is damaged (vda is gone)"),
        ([kept(damage="rot"), kept(2 * DAY, damage="rust")], "broken", "newest is damaged (rot)"),
        ([kept(damage="rot"), kept(2 * DAY)], "broken", "the one before, 2 d old, is whole"),
        ([kept(damage="rot"), kept(20 * DAY)], "broken", "is whole, but the limit is 8 d"),
        ([kept(damage="rot"), NEAR], "broken", "A whole one lies in near, but on the same host"),
        ([kept(unreadable=GAP)], "broken", "lacks 2 places (12 KiB) that its source could not"),
        ([kept(unreadable=GAP), kept(2 * DAY)], "broken", "the one before, 2 d old, is whole"),
        ([NEAR, kept(3 * DAY)], "covered", "another machine"),
        ([NEAR, kept(AGE + 2 * DAY)], "stale", "10 d old"),
        ([kept(2 * DAY, damage="rot"), kept()], "covered", "another machine"),
    ],
)  # fmt: skip
def test_verdict_and_reason(found: list[DiskCopy], verdict: str, reason: str) -> None:
    answer = judge(found, now=NOW)
    assert (answer.verdict, answer.level) == (verdict, LEVELS[verdict])
    assert reason in plain(answer.reason)


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ")


def test_a_copy_as_old_as_allowed_is_not_stale() -> None:
    assert judge([kept(AGE)], now=NOW).verdict == "covered"
    assert judge([kept(2 * DAY)], now=NOW, limits=NIGHTLY).verdict == "covered"


def test_the_policy_says_how_old_is_too_old() -> None:
    answer = judge([kept(3 * DAY)], now=NOW, limits=NIGHTLY)
    assert answer.verdict == "stale"
    assert "the policy nightly allows 2 d" in plain(answer.reason)
    assert "no policy" not in judge([], now=NOW, limits=NIGHTLY).reason


def test_never_booted_on_purpose_is_said() -> None:
    answer = judge([kept(rehearsed=None)], now=NOW, limits=UNBOOTED)
    assert answer.verdict == "covered"
    assert "does not ask for booting" in answer.reason


def test_last_nights_proven_copy_speaks_until_tonights_is_read() -> None:
    tonight = kept(timedelta(hours=1), verified=None, rehearsed=None)
    answer = judge([tonight, kept()], now=NOW, limits=NIGHTLY)
    assert answer.verdict == "covered"
    assert answer.newest == kept()
    assert judge([tonight, kept(3 * DAY)], now=NOW, limits=NIGHTLY).verdict == "unverified"


def test_a_boot_of_an_older_copy_counts_within_its_window() -> None:
    older = kept(14 * DAY, rehearsed=13 * DAY)
    answer = judge([kept(rehearsed=None), older], now=NOW)
    assert (answer.verdict, answer.rehearsed) == ("covered", older)


def test_a_boot_that_failed_stands_until_one_passes() -> None:
    dead = replace(kept(rehearsed=None), failed_at=NOW - DAY, failure="vdb is missing.")
    answer = judge([dead, kept(14 * DAY, rehearsed=13 * DAY)], now=NOW)
    assert (answer.verdict, answer.level) == ("broken", "bad")
    assert "was booted 24 h ago, and that failed: vdb is missing." in plain(answer.reason)
    assert judge([dead, kept(2 * DAY)], now=NOW).verdict == "covered"
    assert judge([dead], now=NOW, limits=UNBOOTED).verdict == "broken"


def test_what_the_bitmap_missed_is_an_alarm_beside_a_good_copy() -> None:
    answer = judge([kept()], now=NOW, missed=[[0, 65536]])
    assert (answer.verdict, answer.level) == ("broken", "watch")
    assert "1 place (64 KiB)" in plain(answer.reason)


def test_a_rotten_copy_here_is_told_beside_a_good_one_elsewhere() -> None:
    rotten = kept(timedelta(hours=1), store="near", off_host=False, damage="rot")
    answer = judge([rotten, kept()], now=NOW)
    assert (answer.verdict, answer.level) == ("broken", "watch")
    assert "The newest copy in near is damaged (rot)" in answer.reason
    assert answer.newest == kept()


def test_an_excluded_disk_says_who_and_why() -> None:
    answer = judge([], now=NOW, excluded="olga took it out: swap")
    assert (answer.verdict, answer.reason) == ("excluded", "olga took it out: swap")


def test_a_silent_host_hides_good_news_only() -> None:
    silent = "alpha does not answer: no route"
    assert judge([kept()], now=NOW, unknown=silent).verdict == "unknown"
    assert judge([], now=NOW, unknown=silent).verdict == "none"
    assert judge([kept(off_host=False)], now=NOW, unknown=silent).verdict == "local only"


def test_a_silent_store_hides_good_news_only() -> None:
    silent = replace(kept(), silent="no route")
    answer = judge([silent, NEAR], now=NOW)
    assert (answer.verdict, answer.reason) == (
        "unknown",
        "What far holds cannot be looked at: no route",
    )
    assert judge([silent, kept(2 * DAY, store="other")], now=NOW).newest == kept(
        2 * DAY, store="other"
    )
    assert judge([replace(silent, damage="rot")], now=NOW).verdict == "broken"
    assert judge([replace(kept(AGE + DAY), silent="no route")], now=NOW).verdict == "stale"


def test_a_copy_from_the_future_is_no_fresh_one() -> None:
    ahead = kept(-3 * DAY)
    answer = judge([ahead], now=NOW)
    assert answer.verdict == "stale"
    assert (
        "is dated 2026-11-25 23:15 UTC, which is in the future: a clock was wrong" in answer.reason
    )
    assert judge([ahead, kept()], now=NOW).newest == kept()
    assert judge([ahead, kept(20 * DAY)], now=NOW).verdict == "stale"
    assert judge([kept(-timedelta(minutes=5))], now=NOW).verdict == "covered"
    assert judge([kept(verified=-3 * DAY)], now=NOW).verdict == "unverified"


generations = st.builds(
    kept,
    st.timedeltas(timedelta(0), timedelta(days=40)),
    off_host=st.booleans(),
    damage=st.sampled_from(["", "rot"]),
    verified=st.none() | st.timedeltas(timedelta(0), timedelta(days=40)),
    rehearsed=st.none() | st.timedeltas(timedelta(0), timedelta(days=40)),
    unreadable=st.sampled_from([(), GAP]),
)


@given(st.lists(generations, max_size=6))
def test_never_mild_without_a_whole_fresh_copy_elsewhere(found: list[DiskCopy]) -> None:
    answer = judge(found, now=NOW)
    assert answer.verdict in ORDER
    if answer.level in {"good", "watch"}:
        assert any(fresh_elsewhere(one) for one in found)


@given(st.lists(generations, max_size=6))
def test_green_only_when_read_back_and_booted_in_time(found: list[DiskCopy]) -> None:
    answer = judge(found, now=NOW)
    if answer.level == "good":
        assert any(fresh_elsewhere(one) and within(one.verified_at, 8) for one in found)
        assert any(one.off_host and within(one.rehearsed_at, 31) for one in found)


def within(at: datetime | None, days: int) -> bool:
    return at is not None and NOW - at <= days * DAY


def fresh_elsewhere(one: DiskCopy) -> bool:
    return one.off_host and not one.wrong and NOW - one.taken_at <= AGE


# One backup of a VM runs at a time: no two generations are of one instant.
@given(st.lists(generations, min_size=1, max_size=6, unique_by=lambda one: one.taken_at))
def test_the_order_of_the_list_does_not_matter(found: list[DiskCopy]) -> None:
    there, back = judge(found, now=NOW), judge(found[::-1], now=NOW)
    assert (there.verdict, there.reason) == (back.verdict, back.reason)


def test_why_no_backup_can_be_made_counts_until_there_is_one() -> None:
    why = "vda of nas is a network disk, which cannot be backed up yet."
    told = judge([], now=NOW, cannot=why)
    assert (told.verdict, told.reason) == ("none", f"There is no backup of this disk. {why}")
    assert judge([kept()], now=NOW, cannot=why).verdict == "covered"
    assert judge([], now=NOW, cannot=why, excluded="anna took it out").verdict == "excluded"
