"""What the readings of a drive say, in words."""

from collections.abc import Mapping
from typing import Any

from labpanel.lib.closed import Odd
from labpanel.lib.shaped import shaped
from labpanel.symptoms.facts.drives import DriveSign
from labpanel.symptoms.words import drives as words


def reason(values: Mapping[str, Any]) -> str:
    """Of a reading "smart". One of an older panel has the words themselves; without any, it gave
    no data."""
    try:
        signs = shaped(tuple[DriveSign, ...], values.get("signs"), "signs")
    except Odd:
        return str(values.get("reason", "it gave no SMART data"))
    return words.reason(signs)


why_unread = words.why_unread
