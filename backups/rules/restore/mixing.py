"""Which disk comes from which generation, and whose definition is taken. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from labpanel.lib.units import listed


@dataclass(frozen=True, slots=True)
class MixableGeneration:
    """A generation as mixing sees it. `bad` are the disks with blocks known to be rotten; a
    generation that is `damaged` without naming a disk has nothing that can be trusted, nor has one
    that is `refused` (why, as the end of a sentence)."""

    key: str
    vm_uuid: str
    vm_name: str
    taken_at: datetime
    targets: frozenset[str]
    bad: frozenset[str] = frozenset()
    damaged: bool = False
    missing: bool = False
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Mix:
    """`pieces` gives each disk its generation; `definition` is whose domain.xml counts; `left_out`
    are disks of the main generation that do not come back. Empty `problem`: it can be done."""

    pieces: dict[str, str]
    definition: str
    left_out: tuple[str, ...] = ()
    problem: str = ""


def mixed(
    main: MixableGeneration,
    named: Mapping[str, MixableGeneration],
    *,
    only: bool = False,
    definition: MixableGeneration | None = None,
) -> Mix:
    """All disks of `main`, but those in `named` from the generation that is given for each; with
    `only` nothing else. The definition is the newest generation's unless one is given."""
    pieces = {} if only else dict.fromkeys(main.targets, main)
    pieces.update(named)
    source = definition or max(pieces.values(), key=lambda held: held.taken_at, default=main)
    left_out = tuple(sorted(main.targets - set(pieces)))
    keys = {target: held.key for target, held in sorted(pieces.items())}
    return Mix(keys, source.key, left_out, _problem(main, pieces, source))


def _problem(
    main: MixableGeneration, pieces: Mapping[str, MixableGeneration], source: MixableGeneration
) -> str:
    if not pieces:
        return "Say which disks are to come back: --only takes the disks named by --disk."
    for held in (*pieces.values(), source):
        if held.vm_uuid != main.vm_uuid:
            return f"{held.key} is a generation of another VM ({held.vm_name})."
    for target, held in sorted(pieces.items()):
        trouble = _trouble(target, held)
        if trouble:
            return trouble
    if source.refused:
        return _refused(source)
    if source.missing:
        return f"Generation {source.key} is not in its store any more."
    unknown = sorted(set(pieces) - source.targets)
    if unknown:
        return (
            f"The definition in {source.key} has no disk {unknown[0]}; choose another one "
            f"(--definition), or leave {unknown[0]} out."
        )
    return ""


def _trouble(target: str, held: MixableGeneration) -> str:
    if target not in held.targets:
        return f"Generation {held.key} has no disk {target}; it has {listed(sorted(held.targets))}."
    if held.refused:
        return _refused(held)
    if held.missing:
        return f"Generation {held.key} is not in its store any more."
    if target in held.bad or (held.damaged and not held.bad):
        return (
            f"{target} of generation {held.key} is damaged and cannot be restored; choose another "
            f"generation for it."
        )
    return ""


def _refused(held: MixableGeneration) -> str:
    return f"Generation {held.key} {held.refused}: it is not restored."


def changed_targets(pieces: Mapping[str, str], now: Collection[str]) -> str:
    """Why these disks cannot go back in place into a VM that has the disks `now`; empty if so."""
    gone = sorted(set(pieces) - set(now))
    if not gone:
        return ""
    return (
        f"The VM has no disk {gone[0]} any more; leave it out (--only), or bring the VM back under "
        f"a new name."
    )
