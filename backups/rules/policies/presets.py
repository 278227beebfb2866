"""The calendars that a form offers: every day, week or month at a time. Pure."""

import re
from dataclasses import dataclass
from datetime import time

from backups.rules.policies.calendar import daily, monthly, weekly

DAILY, WEEKLY, MONTHLY, OTHER = "daily", "weekly", "monthly", "other"
_SHAPE = re.compile(r"(\d{1,2}) (\d{1,2}) (\*|\d{1,2}) \* (\*|[0-7])")


@dataclass(frozen=True, slots=True)
class Preset:
    """`often` is one of the words above; `weekday` (0 is Sunday) counts for WEEKLY, `day` of the
    month for MONTHLY, `cron` for OTHER."""

    often: str = WEEKLY
    at: time = time(2, 0)
    weekday: int = 0
    day: int = 1
    cron: str = ""

    def written(self) -> str:
        """As cron says it."""
        if self.often == DAILY:
            return daily(self.at)
        if self.often == WEEKLY:
            return weekly(self.at, self.weekday)
        if self.often == MONTHLY:
            return monthly(self.at, self.day)
        return self.cron


def read(cron: str) -> Preset:
    """The preset that means the same; OTHER where there is none."""
    found = _SHAPE.fullmatch(" ".join(cron.split()))
    if found is None or int(found[1]) > 59 or int(found[2]) > 23:
        return Preset(OTHER, cron=cron)
    at = time(int(found[2]), int(found[1]))
    if found[3] == "*" and found[4] == "*":
        return Preset(DAILY, at)
    if found[3] == "*":
        return Preset(WEEKLY, at, weekday=int(found[4]) % 7)
    if found[4] == "*" and 1 <= int(found[3]) <= 28:
        return Preset(MONTHLY, at, day=int(found[3]))
    return Preset(OTHER, cron=cron)
