"""What a rehearsal says. Standard library only."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at. `passed` is None where it could not be proven either way."""

    what: str
    passed: bool | None
    seen: str
