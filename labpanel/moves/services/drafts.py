"""The description that a host would get, agreed to and taken by its libvirt before the move."""

from collections.abc import Sequence
from dataclasses import dataclass

from hosts.rules.definition.shapes import is_nvram
from hosts.rules.placement import lacks
from hosts.services.vms.agreement import Terms, agree
from labpanel.adapters.libvirt.hypervisor import pool
from labpanel.adapters.libvirt.uses.moving import MoveFacts
from labpanel.adapters.libvirt.xml import definition_xml, move_xml, needs_xml
from labpanel.lib.definition import OwnersWord, Word
from labpanel.lib.moving import DomainNeeds, Draft, MoveTarget
from labpanel.lib.printable import printable
from labpanel.lib.quoted import quoted
from labpanel.lib.shapes import Endpoint


@dataclass(frozen=True, slots=True)
class Case:
    """What is to go to a host: `said` is what the source's libvirt says, `there` what the host
    has and lacks, with the new images by their old path."""

    said: MoveFacts
    needs: DomainNeeds
    there: MoveTarget


def draft(case: Case, folders: Sequence[str], endpoint: Endpoint, word: Word) -> Draft:
    """The source vouches for nothing: what its host gave the VM is not this host's. Nothing can be
    left out of a VM that runs: both ends of a live migration must be the same. Raises an
    AdapterError."""
    needs, active, there = case.needs, case.said.active, case.there
    empty = {
        disk.target
        for disk in needs.media
        if disk.source in there.missing or (disk.far and not active)
    }
    formats = {disk.source: disk.format for disk in needs.copied}
    forms = [case.said.portable_xml if active else "", case.said.inactive_xml]
    xmls = [move_xml.rewritten(xml, there.paths, empty, formats) for xml in forms if xml]
    if not xmls:
        return Draft("", "")  # it is transient, which is an obstacle of its own
    lonely = lacks.missing_cards(needs, there) if not active else (frozenset(), frozenset())
    gone: tuple[str, ...] = ()
    if word.say == OwnersWord.DROP and any(lonely):
        (xml,) = xmls
        xml, gone = needs_xml.without_cards(xml, *lonely)
        xmls = [xml]
    variables = [needs.nvram] if is_nvram(needs.nvram) else []
    terms = Terms((*there.paths.values(), *variables), folders)
    agreed = agree(xmls, word, terms, may_drop=not active)
    against = next((said for xml in xmls if (said := _another(xml, needs))), "")
    if not against and not agreed.open:
        against = _against(endpoint, agreed.xmls)
    portable, persistent = ("", *agreed.xmls)[-2:] if forms[1] else (agreed.xml, "")
    least = _least(agreed.xmls[-1], lonely, terms) if not active else ""
    return Draft(
        portable=portable,
        persistent=persistent,
        open=() if against else agreed.open,
        code=agreed.code,
        can_drop=agreed.can_drop,
        agreed=(*agreed.lines(), *(f"Left out: {words}." for words in gone)),
        against=printable(against),
        needs=None if active else move_xml.needs(agreed.xmls[-1]),
        least=move_xml.needs(least) if least else None,
    )


def _least(xml: str, lonely: tuple[frozenset[str], frozenset[str]], terms: Terms) -> str:
    """The description of a VM that is off without all that the owner's word can leave out."""
    dropped = agree([xml], Word(OwnersWord.DROP), terms)
    return needs_xml.without_cards(dropped.xml, *lonely)[0]


def _another(xml: str, needs: DomainNeeds) -> str:
    """Under another UUID or name it would take the place of a VM that the host has."""
    root = definition_xml.read(xml)
    said = [node.text if (node := root.find(tag)) else "" for tag in ("name", "uuid")]
    if said == [needs.name, needs.uuid]:
        return ""
    return f"it is that of another VM ({said[0]}, {said[1]})"


def _against(endpoint: Endpoint, xmls: Sequence[str]) -> str:
    for xml in xmls:
        found = pool.of(endpoint).check_definition(xml)
        if found:
            return quoted(found)
    return ""
