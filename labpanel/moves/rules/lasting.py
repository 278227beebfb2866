"""How long a move will take. Pure: what is to be copied and what was measured in, words out.

A time is said only where a speed is known: from moves between the two hosts, the same way first,
else from full backups of the one into a store on the other, which take the same wire.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from backups.rules.coverage.exposure import NEWEST, Measure, telling
from labpanel.lib.durations import span
from labpanel.lib.units import count, rate, size

NOT_KNOWN = (
    "How long it takes is not known: nothing was moved or fully backed up between {source} and "
    "{destination} yet."
)


@dataclass(frozen=True, slots=True)
class Measured:
    """What was done between two hosts, newest first: moves the `same` way, moves the `other` way,
    and full `backups` of the source into a store on the destination."""

    same: Sequence[Measure] = ()
    other: Sequence[Measure] = ()
    backups: Sequence[Measure] = ()


@dataclass(frozen=True, slots=True)
class Lasting:
    """`seconds` is None where no speed is known; `sentence` says it, and where it comes from."""

    seconds: float | None
    sentence: str

    @property
    def words(self) -> str:
        """ "about 40 s", or empty."""
        return "" if self.seconds is None else f"about {span(self.seconds)}"


def lasting(copied_bytes: int, source: str, destination: str, found: Measured) -> Lasting:
    """The time of a move of so many bytes between two hosts."""
    between = f"between {source} and {destination}"
    for measures, one, many in (
        (found.same, f"move {between}", f"moves {between}"),
        (found.other, f"move {between}, another way", f"moves {between}, another way"),
        (found.backups, f"full backup to {destination}", f"full backups to {destination}"),
    ):
        newest = telling(measures)[:NEWEST]
        if not newest:
            continue
        speed = statistics.median(each.bytes / each.seconds for each in newest)
        # However little is copied, beginning and ending a move takes what it always took.
        moves = [*found.same, *found.other]
        least = min((each.seconds for each in moves), default=1.0)
        seconds = max(copied_bytes / speed, least, 1.0)
        told = f"judged by {count(len(newest), one, many)}"
        return Lasting(
            seconds,
            f"It takes about {span(seconds)}: {size(copied_bytes)} at {rate(speed)}, {told}.",
        )
    return Lasting(None, NOT_KNOWN.format(source=source, destination=destination))
