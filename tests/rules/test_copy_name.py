"""A copy has a name for people; its number stands in the details."""

from datetime import UTC, datetime

import pytest

from backups.rules.restore.naming import copy_name


@pytest.mark.parametrize(
    ("taken", "found"),
    [
        ("2026-11-27T05:23:03+00:00", "home's copy from 05:23 (far)"),
        ("2026-11-26T23:59:03+00:00", "home's copy from 26 Nov 23:59 (far)"),
        ("2025-11-26T05:23:03+00:00", "home's copy from 26 Nov 2025 05:23 (far)"),
        ("2026-11-27T07:23:03+02:00", "home's copy from 05:23 (far)"),
    ],
)
def test_copy_name(taken: str, found: str) -> None:
    now = datetime(2026, 11, 27, 21, 0, tzinfo=UTC)
    assert copy_name("home", datetime.fromisoformat(taken), "far", now) == found
