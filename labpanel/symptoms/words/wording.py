"""What every symptom is said with, and the time of day in it."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Wording:
    """`headline` says what is wrong with which thing, `advice` what it means and what to do now."""

    headline: str
    advice: str = ""


def clock(at: datetime, now: datetime) -> str:
    """02:14 of today; with the date when it was another day. In the zone of `now`."""
    here = at.astimezone(now.tzinfo)
    return f"{here:%H:%M}" if here.date() == now.date() else f"{here:%Y-%m-%d %H:%M}"
