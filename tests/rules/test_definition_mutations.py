"""Definitions with bytes, attributes and elements changed at random: judged, or refused in words.

LABPANEL_MUTATIONS says how many, 1000 unless set.
"""

import copy
import os
import random
from pathlib import Path
from xml.etree import ElementTree

from hosts.services.vms.agreement import Terms, agree
from labpanel.adapters.answers.safe_xml import UnsafeXml
from labpanel.lib.definition import OwnersWord, Word
from labpanel.lib.printable import printable
from tests.rules.definitions.cases import EVIL, IMAGE, PLAIN

COUNT = int(os.environ.get("LABPANEL_MUTATIONS", "1000"))
SEEDS = [
    PLAIN,
    *(xml for xml, _ in EVIL.values()),
    *(path.read_text() for path in sorted(Path(__file__).with_name("definitions").glob("*.xml"))),
]
PIECES = [
    "<", ">", "/>", "</devices>", "<os>", "&#0;", "&lt;", "&x;", "'", '"', "\x00", "\ud800", "🦆",
    "<!--", "]]>", "<![CDATA[", "xmlns:q='u'", " file='/etc/shadow'", "../" * 9, "9" * 400,
    "<!DOCTYPE x [<!ENTITY a 'b'>]>", "<a>" * 300, "<disk type='file'/>",
]  # fmt: skip


ODD = ["/etc/shadow", "", "..", "unix", "file", "yes", "\x9b", "0" * 300, "lxc", "127.0.0.1"]


def mutated(chance: random.Random) -> str:
    """Half are still well-formed: elements of two definitions, and odd values, mixed."""
    return _grafted(chance) if chance.random() < 0.5 else _cut(chance)


def _grafted(chance: random.Random) -> str:
    root, other = (ElementTree.fromstring(chance.choice(SEEDS)) for _ in range(2))  # noqa: S314
    for _ in range(chance.randint(1, 4)):
        node = chance.choice(list(root.iter()))
        match chance.randrange(4):
            case 0:
                node.append(copy.deepcopy(chance.choice(list(other.iter()))))
            case 1:
                node.set(chance.choice([*node.attrib, "file", "type", "path"]), chance.choice(ODD))
            case 2:
                node.text = chance.choice(ODD)
            case _:
                node.tag = chance.choice(list(other.iter())).tag
    return ElementTree.tostring(root, encoding="unicode")


def _cut(chance: random.Random) -> str:
    text = chance.choice(SEEDS)
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(len(text) + 1)
        end = min(len(text), start + chance.choice([0, 0, 1, 7, 60]))
        piece = chance.choice([*PIECES, "", text[start : start + 200], chance.choice(SEEDS)[:300]])
        text = text[:start] + piece + text[end:]
    return text


def test_whatever_it_is_it_is_judged_or_refused_in_one_sentence() -> None:
    chance = random.Random(7)
    judged = 0
    for _ in range(COUNT):
        xml = mutated(chance)
        try:
            agreed = agree([xml], Word(OwnersWord.DROP), Terms((IMAGE,)))
        except UnsafeXml as refused:
            assert "\n" not in refused.sentence
            continue
        judged += 1
        told = (*agreed.open, *agreed.dropped)
        assert all(printable(reach.words) == reach.words for reach in told)
        assert all(not reach.droppable for reach in agreed.open)
    assert judged > COUNT // 3
