"""Which copy is verified next: the newest of each store by content, all of them by files."""

from datetime import UTC, datetime, timedelta

from backups.rules.copies.faults import CONTENT, FILES
from backups.rules.policies.next_rehearsal import RehearsableCopy
from backups.rules.policies.next_verification import due

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


def copy(
    key: str, taken: float, hashed: float | None, verified: float | None, store: int = 1
) -> RehearsableCopy:
    return RehearsableCopy(
        key,
        store,
        ago(taken),
        frozenset({"vda"}),
        off_host=True,
        hashed_at=None if hashed is None else ago(hashed),
        verified_at=None if verified is None else ago(verified),
    )


def asked(*copies: RehearsableCopy) -> list[tuple[str, int]]:
    return [(each.key, each.level) for each in due(copies, 7, NOW)]


def test_the_newest_of_each_store_is_read_and_no_other() -> None:
    found = asked(
        copy("old", 9, 1, None),
        copy("new", 2, 1, None),
        copy("far", 3, 1, None, store=2),
    )
    assert found == [("far", CONTENT), ("new", CONTENT)]


def test_one_that_was_read_waits_for_its_day() -> None:
    assert asked(copy("a", 20, 1, 6.9)) == []
    assert asked(copy("a", 20, 1, 7)) == [("a", CONTENT)]


def test_never_read_comes_before_long_ago() -> None:
    found = asked(copy("b", 20, 1, 300), copy("a", 20, 1, None, store=2))
    assert found == [("a", CONTENT), ("b", CONTENT)]


def test_new_files_soon_and_all_of_them_monthly() -> None:
    found = asked(
        copy("oldest", 90, 40, 80),
        copy("older", 80, 29, 80),
        copy("old", 70, 31, 60),
        copy("new", 1, None, 0.5),
        copy("newer", 0.5, None, 0.1),
    )
    assert found == [("newer", FILES), ("new", FILES), ("oldest", FILES), ("old", FILES)]


def test_a_proof_that_is_dated_in_the_future_is_made_again() -> None:
    assert asked(copy("ahead", 2, -300, -300)) == [("ahead", CONTENT), ("ahead", FILES)]
    assert asked(copy("just now", 2, -0.0001, -0.0001)) == []
