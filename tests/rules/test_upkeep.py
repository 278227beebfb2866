"""Which copies are booted next."""

from datetime import UTC, datetime, timedelta

import pytest

from backups.rules.policies.next_rehearsal import RehearsableCopy, to_rehearse

NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def copy(
    key: str,
    age: int,
    *,
    read: int | None = None,
    booted: int | None = None,
    targets: str = "vda",
    off_host: bool = True,
) -> RehearsableCopy:
    """Ages in days."""
    return RehearsableCopy(
        key,
        1,
        NOW - age * DAY,
        frozenset(targets.split()),
        off_host,
        None,
        None if read is None else NOW - read * DAY,
        None if booted is None else NOW - booted * DAY,
    )


@pytest.mark.parametrize(
    ("copies", "key"),
    [
        ([], None),
        ([copy("unread", 1)], None),  # what was not read back is not worth a boot
        ([copy("a", 9, read=9), copy("b", 2, read=1), copy("unread", 1)], "b"),
        ([copy("a", 9, read=9, booted=8), copy("b", 2, read=1)], None),
        ([copy("a", 40, read=9, booted=31), copy("b", 2, read=1)], "b"),
        # vdb is new: it was in no copy that was booted.
        ([copy("a", 9, booted=8), copy("b", 2, read=1, targets="vda vdb")], "b"),
        # Booted while the clock was ahead: when is not known.
        ([copy("a", 9, read=9, booted=-300), copy("b", 2, read=1)], "b"),
        ([copy("a", 2, read=1), copy("near", 1, read=1, off_host=False)], "a"),
        ([copy("near", 1, read=1, off_host=False)], "near"),
        ([copy("a", 2, read=1), copy("near", 9, read=9, booted=1, off_host=False)], "a"),
    ],
)
def test_the_newest_copy_with_a_disk_that_was_not_booted(
    copies: list[RehearsableCopy], key: str | None
) -> None:
    found = to_rehearse(copies, 30, NOW)
    assert (found.key if found else None) == key
    assert to_rehearse(copies, 0, NOW) is None
