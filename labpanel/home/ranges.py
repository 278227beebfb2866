"""The time range of graphs, kept in the address so that a link shows what I see."""

from dataclasses import dataclass

from django.http import HttpRequest

from labpanel.lib.series import RANGES

DEFAULT = "1h"
_WORDS = {"1h": "hour", "6h": "6 hours", "1d": "day", "1w": "week", "1m": "month", "1y": "year"}


@dataclass(frozen=True, slots=True)
class RangeLink:
    key: str
    short: str
    words: str
    here: bool


def chosen_range(request: HttpRequest) -> str:
    """What the address asks for; anything unknown shows the last hour."""
    key = request.GET.get("range", DEFAULT)
    return key if key in RANGES else DEFAULT


def links(chosen: str) -> list[RangeLink]:
    return [
        RangeLink(key, f"{key[:-1]} {key[-1]}", f"last {_WORDS[key]}", key == chosen)
        for key in RANGES
    ]
