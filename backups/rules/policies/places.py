"""Which store a place of a policy means for one VM. Pure: what is known of the stores in, a choice
or the reason why there is none out.

`far` is away from the VM's host and from the drives below its disks, `near` is on its host; any
other word is the name of a store.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from labpanel.lib.units import listed

FAR, NEAR = "far", "near"
# A store that is silent for less keeps its place: its copies wait for it rather than begin anew
# in another store.
PATIENCE = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class StoreCandidate:
    """A store, as one VM sees it. `silent_since` is the last good look at a store that fails now,
    None for one that is well; `newest` is when its newest copy of this VM was taken."""

    name: str
    on_host: bool
    same_drive: bool
    available_bytes: int = 0
    silent_since: datetime | None = None
    newest: datetime | None = None


@dataclass(frozen=True, slots=True)
class StoreChoice:
    """`name` is a store's, or empty, and then `why` is a sentence."""

    name: str
    why: str = ""


def choose(word: str, stores: Sequence[StoreCandidate], host: str, now: datetime) -> StoreChoice:
    """The store that `word` means for a VM on `host`: one that answers, then one that holds the
    newest copy of this VM (its next run is small there), then one apart from the drives, then the
    one with the most room."""
    if word == FAR:
        fit = [one for one in stores if not one.on_host and not one.same_drive]
        why = f"No store lies away from {host} and its drives: add one on another machine."
    elif word == NEAR:
        fit = [one for one in stores if one.on_host]
        why = f"There is no store on {host}: add one there."
    else:
        fit = [one for one in stores if one.name == word]
        why = f"There is no store {word} any more."
    if not fit:
        return StoreChoice("", why)
    return StoreChoice(max(fit, key=lambda one: _fitness(one, now)).name)


def _fitness(store: StoreCandidate, now: datetime) -> tuple[bool, float, bool, int]:
    silent = store.silent_since is not None and now - store.silent_since > PATIENCE
    newest = store.newest.timestamp() if store.newest else 0.0
    return not silent, newest, not store.same_drive, store.available_bytes


def in_words(places: Sequence[str]) -> str:
    """ "to another machine, to the VM’s own host and to nas"."""
    words = {FAR: "to another machine", NEAR: "to the VM’s own host"}
    return listed([words.get(place, f"to {place}") for place in places])
