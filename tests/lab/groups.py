"""Which files of the lab's tests share a lab and a panel, and which begin first."""

from pathlib import Path

TOGETHER = {
    "appliance": "rehearse",
    "rehearsal": "rehearse",
    "mend": "short",
    "pruning": "short",
    "samples": "short",
    "shown_as_they_are": "short",
}
"""Bringing both up costs more than these files' tests, and each file leaves both as it found them.
Every other file has its own, as a group of one."""

LONGEST = ("backups", "getting_back", "rehearse", "incremental", "moves", "guest_safety", "hosts")
"""The groups that take longest, longest first (var/test-durations.json)."""


def group_of(path: Path) -> str:
    name = path.stem.removeprefix("test_")
    return TOGETHER.get(name, name)


def turn_of(group: str) -> tuple[int, str]:
    """By what groups are sorted; files of one group stay together."""
    return (LONGEST.index(group) if group in LONGEST else len(LONGEST), group)
