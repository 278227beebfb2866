"""Text from outside made fit for a terminal, a log line, a sentence or a page.

What would move a cursor, change a colour, end a line or turn the direction of the text around it is
shown as Python's escape of it ("\\x1b", "\\n", "\\u202e"). The result is ordinary text: making it
printable once more changes nothing.
"""

import re
import unicodedata
from collections.abc import Iterator

MOST = 2000  # characters of one sentence
MOST_LINES = 200
# Unicode's General_Category (UnicodeData.txt) as ranges: controls, line and paragraph separators,
# surrogates, private use, and formats with the overrides of direction (UAX #9). Not among them are
# the two zero width joiners: parts of words and emoji, and harmless.
_CONTROLS = r"\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff"
_PRIVATE = r"\ue000-\uf8ff\U000f0000-\U000ffffd\U00100000-\U0010fffd"
_FORMATS = (
    r"\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b\u200e\u200f\u202a-\u202e"
    r"\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f"
    r"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0001\U000e0020-\U000e007f"
)
_RAW = re.compile(f"[{_CONTROLS}{_PRIVATE}{_FORMATS}]")
_RAW_BUT_LAYOUT = re.compile(rf"(?!\r?\n|\t)[{_CONTROLS}{_PRIVATE}{_FORMATS}]")
# More marks over one letter than any script needs would paint over the lines above.
_MOST_MARKS = 6
# Blocks of marks that stack (Blocks.txt: Combining Diacritical Marks and its four companions).
_STACKING = r"[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"
_TOWER = re.compile(f"({_STACKING}{{{_MOST_MARKS}}})({_STACKING}+)")


def printable(text: str, most: int = MOST) -> str:
    """`text` in one line, harmless to show, in at most `most` characters.

    What is longer is cut and ends with "… (N characters)", N being the length that it had.
    """
    if len(text) <= most and text.isascii() and text.isprintable():
        return text
    shown = _RAW.sub(_escape, "".join(_without_towers(text[: most + 1])))
    if len(text) <= most and len(shown) <= most:
        return shown
    mark = f"… ({len(text)} characters)"
    return (shown[: max(0, most - len(mark))] + mark)[:most]


def printable_lines(text: str, most: int = MOST, lines: int = MOST_LINES) -> str:
    """The last `lines` lines of `text`, each made printable: for details that keep their lines."""
    kept = text[-most * lines :].split("\n")
    cut = [f"… ({len(kept) - lines} lines before)"] if len(kept) > lines else []
    return "\n".join([*cut, *(printable(line.rstrip("\r"), most) for line in kept[-lines:])])


def printable_layout(text: str) -> str:
    """`text` of any length with its line ends and tabs, all else escaped: for whole documents."""
    return _TOWER.sub(_cut_tower, _RAW_BUT_LAYOUT.sub(_escape, text))


def is_harmless(character: str) -> bool:
    """Whether one character may be shown as it is."""
    return _RAW.match(character) is None


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")


def _cut_tower(found: re.Match[str]) -> str:
    return found[1] + found[2].encode("unicode_escape").decode("ascii")


def _without_towers(text: str) -> Iterator[str]:
    marks = 0
    for character in text:
        marks = marks + 1 if unicodedata.category(character) in {"Mn", "Me"} else 0
        high = marks > _MOST_MARKS
        yield character.encode("unicode_escape").decode("ascii") if high else character
