"""On which generation a disk's new image may back. Pure: what is kept in, parent and reason out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# Every image of a chain is opened to read the newest: beyond this a run begins a chain of its own.
LONGEST = 30


@dataclass(frozen=True, slots=True)
class ChainLink:
    """One disk in one generation; `parent` is empty for a full. `sound` unless the generation is
    damaged in a way that no ranges of bytes name."""

    generation: str
    parent: str
    sound: bool = True


@dataclass(frozen=True, slots=True)
class ParentChoice:
    """`parent` is empty if the run must be a full one; if there was a choice, `why` says why."""

    parent: str = ""
    why: str = ""


def choose_parent(newest_first: Sequence[ChainLink]) -> ParentChoice:
    """The newest sound generation whose chain is whole and not too long."""
    parents = {link.generation: link.parent for link in newest_first}
    for link in newest_first:
        if not link.sound:
            continue
        length = chain_length(link.generation, parents)
        if not length:
            continue
        if length >= LONGEST:
            return ParentChoice(
                "", f"The chain of {length} generations is long enough: a new one begins."
            )
        return ParentChoice(link.generation)
    if newest_first:
        return ParentChoice("", "No generation in this store is sound enough to build on.")
    return ParentChoice()


def chain_of(generation: str, parents: Mapping[str, str]) -> list[str]:
    """The generations that one backs on, nearest first; empty at a full or at a broken chain."""
    found: list[str] = []
    at = parents.get(generation, "")
    while at and at not in found:
        found.append(at)
        at = parents.get(at, "")
    return found


def chain_length(generation: str, parents: Mapping[str, str]) -> int:
    """How many images are read to read this one, itself included; 0 if the chain is broken."""
    chain = [generation, *chain_of(generation, parents)]
    whole = chain[-1] in parents and not parents[chain[-1]]
    return len(chain) if whole else 0
