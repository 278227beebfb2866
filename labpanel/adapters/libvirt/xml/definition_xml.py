"""Domain XML as values that rules can judge, and without what it is not to hold."""

from collections.abc import Iterable
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from labpanel.adapters.answers import safe_xml
from labpanel.lib.definition import DefinitionPath, Node


def read(xml: str, what: str = "The definition") -> Node:
    """The whole definition. Raises UnsafeXml for what is not XML or too large."""
    return _node(safe_xml.parse(xml, what))


def _node(element: Element) -> Node:
    # Text between elements counts as the outer one's: to libvirt it is (XPath's string()).
    texts = [element.text or "", *(child.tail or "" for child in element)]
    return Node(
        tag=element.tag,
        attributes=tuple(element.attrib.items()),
        text="".join(texts),
        children=tuple(_node(child) for child in element),
    )


def without(xml: str, places: Iterable[DefinitionPath]) -> str:
    """`xml` without these elements and attributes. A place must be one of `read`'s result."""
    root = safe_xml.parse(xml, "The definition")
    for place in sorted(places, key=lambda place: place.steps, reverse=True):
        above, found = root, root
        for step in place.steps:
            above, found = found, found[step]
        if place.attribute:
            found.attrib.pop(place.attribute, None)
        elif place.steps:
            above.remove(found)
    return ElementTree.tostring(root, encoding="unicode")
