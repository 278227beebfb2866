"""XML that a host, a store or libvirt said, parsed without trust.

Shape: `parse(text)` gives the root Element of a document of at most 1 MiB, 50 000 elements and
attributes, and 256 levels, without a document type. Whatever else it is raises UnsafeXml.
"""

from xml.etree.ElementTree import Element, ParseError, TreeBuilder, XMLParser

from labpanel.adapters.errors import Refused

# A domain with 60 disks has some 60 KiB, a big host's capabilities some 300 KiB.
MOST_BYTES = 1 << 20
# What is parsed takes some 100 bytes for each of them.
MOST_NODES = 50_000
# libvirt follows a backing chain for 200 layers (VIR_STORAGE_MAX_CHAIN_DEPTH), each one level.
MOST_LEVELS = 256


class UnsafeXml(Refused):
    """A text that is not XML, or XML that is not read. `reason` completes "the XML …"."""

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(f"{what} is not used: {reason}.")
        self.reason = reason


def parse(text: str, what: str = "The XML") -> Element:
    """The root element. `what` begins the sentence of the error ("The XML of web").

    Raises UnsafeXml. Without a document type there is nothing to expand but the five predefined
    entities (XML 1.0, 4.6), and nothing to fetch.
    """
    if len(text) > MOST_BYTES or len(text.encode("utf-8", "replace")) > MOST_BYTES:
        raise UnsafeXml(what, f"it is larger than {MOST_BYTES >> 20} MiB")
    if "<!DOCTYPE" in text:
        raise UnsafeXml(what, "it declares a document type, which libvirt never does")
    parser = XMLParser(target=_Bounded(what))  # noqa: S314 - bounded here, no document type
    try:
        parser.feed(text)
        root: Element = parser.close()
    except (ParseError, ValueError) as broken:  # ValueError: half a surrogate pair, a NUL
        raise UnsafeXml(what, f"it is not well-formed XML ({broken})") from broken
    return root


class _Bounded(TreeBuilder):
    """Builds the tree up to the limits."""

    def __init__(self, what: str) -> None:
        super().__init__()
        self._what, self._level, self._nodes = what, 0, 0

    def start(self, tag: str, attrs: dict[str, str], /) -> Element:
        self._level += 1
        self._nodes += 1 + len(attrs)
        if self._level > MOST_LEVELS:
            raise UnsafeXml(self._what, f"it is nested deeper than {MOST_LEVELS} levels")
        if self._nodes > MOST_NODES:
            raise UnsafeXml(self._what, f"it has more than {MOST_NODES} elements and attributes")
        return super().start(tag, attrs)

    def end(self, tag: str, /) -> Element:
        self._level -= 1
        return super().end(tag)
