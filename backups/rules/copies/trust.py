"""May a copy count for anything? Pure: who signed it, and when it says it was taken.

A copy that this panel signed (lib/store_format/signature.py) is what it says. One that is unsigned
came with its store or from an older version: it may be brought back, and counts as one that was
never read; it becomes a signed one when all of it was read once. One that appeared without a
signature in a store that had been looked at before was put there by others: it counts for nothing
until its owner has it verified. One whose signature does not fit is refused. A copy that is dated
ahead of the clock only counts for nothing until then, since clocks are wrong at times.
"""

from datetime import datetime, timedelta

SIGNED, UNSIGNED, STRANGE, FORGED = "signed", "unsigned", "strange", "forged"
DISTRUSTED = (STRANGE, FORGED)
# Clocks that are set right jump a little; what is dated further ahead has no age that is known.
AHEAD = timedelta(hours=1)

FORGED_WHAT = "does not carry this panel's signature for what it says"
STRANGE_WHAT = "appeared in the store without this panel's signature"


def is_ahead(taken_at: datetime, now: datetime) -> bool:
    return taken_at - now > AHEAD


def doubt(trust: str, taken_at: datetime, now: datetime) -> str:
    """Why a copy counts for nothing, as the end of a sentence about it; empty if it counts."""
    if trust == FORGED:
        return FORGED_WHAT
    if trust == STRANGE:
        return STRANGE_WHAT
    if is_ahead(taken_at, now):
        return f"is dated {taken_at:%Y-%m-%d %H:%M} UTC, which is in the future"
    return ""


def refused(trust: str, key: str) -> str:
    """Why a copy is neither restored nor booted, as the end of a sentence; empty if it may be."""
    if trust == FORGED:
        return FORGED_WHAT
    if trust == STRANGE:
        return f"{STRANGE_WHAT}, and was never read (`./panel verify {key} --level 2`)"
    return ""


def displaces(trust: str, taken_at: datetime, now: datetime) -> bool:
    """Whether a copy may take the place of another one in what a policy keeps."""
    return trust == SIGNED and not is_ahead(taken_at, now)


def advice(trust: str, key: str) -> str:
    """What its owner does about a copy that counts for nothing."""
    if trust == FORGED:
        return (
            "It is never restored, booted or built on. Look who can write to this store; remove "
            "the copy's folder there when you know."
        )
    if trust == STRANGE:
        return (
            f"If you put it there, have it read: `./panel verify {key} --level 2`. Otherwise look "
            f"who can write to this store, and remove the copy's folder."
        )
    return "Set the clocks of the panel and its hosts right. It counts again when its date is past."
