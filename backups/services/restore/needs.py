"""What a definition asks of the host that it comes to, held against the host: the same list as a
move's, before anything is made."""

from collections.abc import Collection
from dataclasses import dataclass

from hosts.rules.placement import lacks
from hosts.services.vms.agreement import Agreement, Terms, agree
from labpanel.adapters.images.image_host import ImageHost
from labpanel.adapters.libvirt.uses.hosts import ReadsHost
from labpanel.adapters.libvirt.xml import move_xml, needs_xml
from labpanel.lib.definition import OwnersWord, Word
from labpanel.lib.moving import MoveTarget


@dataclass(frozen=True, slots=True)
class JudgedDefinition:
    """`xml` is what the owner's word has left of the definition, without the cards `gone`;
    `lacking` are sentences on what the host does not have for it, which all go with what the word
    can leave out if `drop_helps`; `notes` hold nothing back."""

    xml: str
    gone: tuple[str, ...]
    lacking: tuple[str, ...]
    drop_helps: bool
    notes: tuple[str, ...]


def judged(agreement: Agreement, word: Word, terms: Terms, there: MoveTarget) -> JudgedDefinition:
    xml, gone = agreement.xml, tuple[str, ...]()
    if word.say == OwnersWord.DROP:
        xml, gone = _without_cards(xml, there)
    needs = move_xml.needs(xml)
    return JudgedDefinition(
        xml=xml,
        gone=gone,
        lacking=_lacking(xml, there),
        drop_helps=word.say != OwnersWord.DROP and _least_fits(xml, terms, there),
        notes=tuple(one.sentence for one in lacks.processor(needs, there)),
    )


def _lacking(xml: str, there: MoveTarget) -> tuple[str, ...]:
    return tuple(one.sentence for one in lacks.lacking(move_xml.needs(xml), there))


def _without_cards(xml: str, there: MoveTarget) -> tuple[str, tuple[str, ...]]:
    return needs_xml.without_cards(xml, *lacks.missing_cards(move_xml.needs(xml), there))


def _least_fits(xml: str, terms: Terms, there: MoveTarget) -> bool:
    """Whether the host has all for it once everything that can be left out is."""
    dropped = agree([xml], Word(OwnersWord.DROP), terms)
    return not dropped.open and not _lacking(_without_cards(dropped.xml, there)[0], there)


def host_for(
    xml: str, ours: Collection[str], name: str, hypervisor: ReadsHost, images: ImageHost
) -> MoveTarget:
    """The host, asked for all that the definition needs but what the panel itself brings."""
    needs = move_xml.needs(xml)
    said = hypervisor.target_facts(
        emulator=needs.emulator,
        arch=needs.arch,
        machine=needs.machine,
        cpu=needs.asked_cpu,
        volumes=needs.volumes,
    )
    had = images.having([path for path in needs.paths if path not in ours], needs.programs)
    return MoveTarget(
        name=name,
        missing=frozenset(had.missing),
        missing_programs=frozenset(had.missing_programs),
        missing_volumes=frozenset(said.missing_volumes),
        networks=frozenset(said.networks),
        bridges=frozenset(had.bridges),
        interfaces=frozenset(had.interfaces),
        machine=said.machine,
        cpu=said.cpu,
    )
