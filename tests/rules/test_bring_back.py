"""Which copy, and which host, a VM in trouble goes back to."""

from datetime import UTC, datetime, timedelta

import pytest

from backups.rules.restore.bring_back import (
    MARGIN_BYTES,
    CopyCandidate,
    RestoreHost,
    pick,
    place_for,
    why_nowhere,
)
from backups.rules.restore.bring_back_words import choices

NOW = datetime(2026, 8, 18, 5, 33, tzinfo=UTC)
GIB = 1 << 30


def copy(minutes: int, *disks: str, read: bool = True) -> CopyCandidate:
    taken = NOW - timedelta(minutes=minutes)
    return CopyCandidate(f"{minutes}", taken, read, frozenset(disks or ("vda", "vdb")))


@pytest.mark.parametrize(
    ("found", "key"),
    [
        ([], None),
        ([copy(11), copy(5)], "5"),
        # read back and hardly older
        ([copy(5, read=False), copy(11)], "11"),
        # a day of work is worth more than a reading: each block is compared all the same
        ([copy(5, read=False), copy(1500)], "5"),
        ([copy(5, read=False)], "5"),
        # one that lacks a disk is no better for being newer
        ([copy(5, "vda"), copy(11)], "11"),
        ([copy(5, "vda"), copy(11, "vda", "vdx")], "5"),
    ],
)
def test_the_copy(found: list[CopyCandidate], key: str | None) -> None:
    picked = pick(found, frozenset({"vda", "vdb"}))
    assert (picked.key if picked else None) == key


def test_the_place_has_room_and_if_it_can_be_memory() -> None:
    small, tight = RestoreHost("beta", 8 * GIB, GIB), RestoreHost("gamma", GIB, 90 * GIB)
    wide = RestoreHost("delta", 4 * GIB, 90 * GIB)
    assert place_for([small, tight, wide], 2 * GIB, 10 * GIB) is wide
    assert place_for([small, tight], 2 * GIB, 10 * GIB) is tight
    assert place_for([small], 2 * GIB, 10 * GIB) is None
    assert place_for([RestoreHost("beta", None, None)], 2 * GIB, 10 * GIB) is not None


def test_three_that_fit_alone_do_not_fit_together() -> None:
    only, room = RestoreHost("beta", 8 * GIB, 14 * GIB), 5 * GIB
    found = []
    for _ in range(3):
        place = place_for([only], GIB, room)
        found.append(place)
        if place:
            place.take(GIB, room)
    assert found == [only, only, None]
    assert only.room_bytes == 4 * GIB
    assert MARGIN_BYTES < GIB


def test_nowhere_is_said_with_figures() -> None:
    said = why_nowhere([RestoreHost("beta", 8 * GIB, 3 * GIB)], "home", 5 * GIB)
    assert "home" in said
    assert "beta has 3" in said
    assert "No other host is well" in why_nowhere([], "home", 1)


@pytest.mark.parametrize(
    ("vms", "running", "silent", "first", "count"),
    [
        (["home"], ["home"], False, ("stop", "Yes, bring home back"), 3),
        (["home"], [], False, ("run", "Yes, bring home back"), 2),
        (["home"], [], True, ("run", "alpha is off: run home on beta"), 2),
        (["home", "web"], ["web"], False, ("stop", "Yes, bring all 2 back"), 3),
        (["home", "web"], [], True, ("run", "alpha is off: run all 2 on beta"), 2),
    ],
)
def test_at_most_three_choices_each_with_what_follows(
    vms: list[str], running: list[str], silent: bool, first: tuple[str, str], count: int
) -> None:
    found = choices(vms, "alpha", "beta", running=running, silent=silent)
    assert (found[0].choice, found[0].words) == first
    assert len(found) == count
    assert all(each.consequence.endswith(".") for each in found)
    assert len({each.words for each in found}) == count


def test_a_silent_host_can_be_not_known_to_be_off() -> None:
    unsure = choices(["home"], "alpha", "beta", running=[], silent=True)[-1]
    assert (unsure.choice, unsure.words) == ("off", "I do not know: start nothing on beta")


def test_what_runs_is_named_before_it_is_switched_off() -> None:
    stop = choices(["home", "web"], "alpha", "beta", running=["web"], silent=False)[0]
    assert "web on alpha is switched off first" in stop.consequence
    assert "home on alpha" not in stop.consequence
