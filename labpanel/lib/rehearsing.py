"""What a rehearsal says. Standard library only."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at. `passed` is None where it could not be proven either way."""

    what: str
    passed: bool | None
    seen: str


@dataclass(frozen=True, slots=True)
class Expected:
    """One disk that the VM had at its backup. `why_absent` says why the generation has none of it,
    and `chosen` that its owner took it out."""

    target: str
    bytes: int
    serial: str
    why_absent: str = ""
    chosen: bool = False
