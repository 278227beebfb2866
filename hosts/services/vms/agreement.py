"""May a definition go to a host as it is? What reaches into the host needs the owner's word.

The one gate of restores, of VMs that run from a copy, and of moves.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hosts.rules.definition.reaches import reaches
from labpanel.adapters.answers.safe_xml import UnsafeXml
from labpanel.adapters.libvirt.xml import definition_xml
from labpanel.lib.definition import OwnersWord, Reach, Word, code_of, unknown

# What lies in something that was left out is told only then.
_ROUNDS = 5
# A sentence has 2000 characters, the words of one thing some 350.
_TOLD = 4


@dataclass(frozen=True, slots=True)
class Terms:
    """`ours` are files and sockets that the panel put into the definition, `folders` the host's
    folders for images, `known` the definition that this very host has of the VM, if it has one:
    what stands in it, the host gave itself."""

    ours: Collection[str] = ()
    folders: Collection[str] = ()
    known: str = ""


@dataclass(frozen=True, slots=True)
class Agreement:
    """`xmls` are what may be defined, if nothing is `open`."""

    xmls: tuple[str, ...]
    open: tuple[Reach, ...] = ()
    accepted: tuple[Reach, ...] = ()
    dropped: tuple[Reach, ...] = ()
    may_drop: bool = True

    @property
    def xml(self) -> str:
        """The only one, or the first."""
        return self.xmls[0]

    @property
    def code(self) -> str:
        """What the owner's word must name to accept what is open."""
        return code_of(self.open)

    @property
    def can_drop(self) -> bool:
        return self.may_drop and all(reach.droppable for reach in self.open)

    def lines(self) -> tuple[str, ...]:
        """For the log of a job: what was agreed to."""
        return (
            *(f"The owner's word: it holds {reach.words}." for reach in self.accepted),
            *(f"Left out: {reach.words}." for reach in self.dropped),
        )


def agree(xmls: Sequence[str], word: Word, terms: Terms, *, may_drop: bool = True) -> Agreement:
    """`xmls` are forms of one definition. Raises UnsafeXml if one of them is none."""
    gate = _Gate(terms)
    found = _each(reach for xml in xmls for reach in gate.open(xml))
    if not found:
        return Agreement(tuple(xmls))
    if word.say == OwnersWord.ACCEPT and word.code == code_of(found):
        return Agreement(tuple(xmls), accepted=found)
    if word.say == OwnersWord.DROP and may_drop:
        kept = [gate.without(xml) for xml in xmls]
        return Agreement(
            tuple(xml for xml, _ in kept),
            open=_each(reach for xml, _ in kept for reach in gate.open(xml)),
            dropped=_each(reach for _, gone in kept for reach in gone),
        )
    return Agreement(tuple(xmls), open=found, may_drop=may_drop)


def _each(found: Iterable[Reach]) -> tuple[Reach, ...]:
    """Each content once, in the order of the first form that has it."""
    return tuple({reach.what: reach for reach in found}.values())


class _Gate:
    """Definitions held against the terms of one host."""

    def __init__(self, terms: Terms) -> None:
        self._terms, self._known = terms, _known(terms.known)

    def open(self, xml: str) -> tuple[Reach, ...]:
        found = reaches(definition_xml.read(xml), self._terms.ours, self._terms.folders)
        return unknown(found, self._known)

    def without(self, xml: str) -> tuple[str, list[Reach]]:
        """The definition without all that can be left out, and what that was."""
        dropped: list[Reach] = []
        for _ in range(_ROUNDS):
            going = [reach for reach in self.open(xml) if reach.droppable]
            if not going:
                break
            xml = definition_xml.without(xml, [reach.place for reach in going])
            dropped += going
        return xml, dropped


def _known(xml: str) -> frozenset[str]:
    """A definition that cannot be read vouches for nothing."""
    if not xml:
        return frozenset()
    try:
        return frozenset(reach.what for reach in reaches(definition_xml.read(xml)))
    except UnsafeXml:
        return frozenset()


def asking(agreement: Agreement, name: str, host: str) -> str:
    """The sentence that asks the owner, with what to say. Longer lists are told by `open` alone."""
    found = agreement.open
    things = [f"({number}) {reach.words}" for number, reach in enumerate(found[:_TOLD], 1)]
    if len(found) > _TOLD:
        things.append(f"and {len(found) - _TOLD} more, which the job's log lists")
    head = f"The definition of {name} gives it more of {host} than a VM needs: {'; '.join(things)}."
    accept = f"--accept-reach {agreement.code} takes it as it is"
    if not agreement.can_drop:
        return f"{head} It cannot be had without; {accept}."
    return f"{head} --drop-reach leaves that out; {accept}."


def word_of(parameters: Mapping[str, Any]) -> Word:
    """The owner's word as a job keeps it (`kept`)."""
    return Word(OwnersWord(parameters.get("reach", "")), parameters.get("reach_code", ""))


def kept(word: Word) -> dict[str, str]:
    return {"reach": word.say.value, "reach_code": word.code}
