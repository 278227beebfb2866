"""What is known of a host that does not answer, or that answers oddly."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class SilentHost:
    """No answer over SSH since then. `refusal` is what it said instead, if it said something."""

    host: str
    since: datetime
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class SilentLibvirt:
    """Likewise, of a libvirt whose host answers."""

    host: str
    since: datetime
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class FailedCheck:
    """The host answers, its health check does not. `hangs`: it ran into its deadline; `error` is
    what was said of any other failure, else empty."""

    host: str
    since: datetime
    hangs: bool
    error: str


@dataclass(frozen=True, slots=True)
class OddAnswers:
    """Answers that made no sense and were put aside: what was said of the first, and how many
    others there are."""

    host: str
    first: str
    others: int


@dataclass(frozen=True, slots=True)
class SameMachine:
    """`host` is the machine that the panel knows as `first` already."""

    host: str
    first: str
