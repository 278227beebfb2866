"""Text from outside: whatever it holds, what is shown of it is one harmless line."""

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labpanel.lib.printable import (
    is_harmless,
    printable,
    printable_layout,
    printable_lines,
)

ESCAPED = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
HARMLESS = "\u200c\u200d"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("web", "web"),
        ("サーバ ½ 👩\u200d💻 e\u0301", "サーバ ½ 👩\u200d💻 e\u0301"),
        ("\x1b]0;title\x07\x1b[2J", "\\x1b]0;title\\x07\\x1b[2J"),
        ("one\ntwo\r\tthree", "one\\ntwo\\r\\tthree"),
        ("\x9b31m\x85", "\\x9b31m\\x85"),  # C1: CSI in one character, NEL
        ("a\u202eb\u2066c\u2069", "a\\u202eb\\u2066c\\u2069"),
        ("a\u2028b\u2029c\ufeff\u00ad", "a\\u2028b\\u2029c\\ufeff\\xad"),
        ("\x00\x7f\ud800\ue000\U000e0041", "\\x00\\x7f\\ud800\\ue000\\U000e0041"),
    ],
)
def test_shows_what_is_harmless_and_escapes_the_rest(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_a_flood_is_cut_and_says_how_long_it_was() -> None:
    assert printable("x" * 100_000, 40) == "x" * 19 + "… (100000 characters)"
    assert printable("\x1b" * 30, 40).endswith("… (30 characters)")
    assert len(printable("x" * 100, 5)) == 5


def test_marks_that_paint_over_the_lines_above_are_escapes_after_the_sixth() -> None:
    assert printable("e" + "\u0301" * 8) == "e" + "\u0301" * 6 + "\\u0301" * 2


def test_lines_are_kept_where_they_are_wanted_and_the_last_ones_are_shown() -> None:
    assert printable_lines("one\r\ntwo\x1b[A\nthree") == "one\ntwo\\x1b[A\nthree"
    assert printable_lines("1\n2\n3\n4", lines=2) == "… (2 lines before)\n3\n4"


@given(st.text(st.characters(codec=None), max_size=300), st.integers(1, 200))
def test_is_short_harmless_and_the_same_when_done_twice(text: str, most: int) -> None:
    shown = printable(text, most)
    assert len(shown) <= most
    assert printable(shown, most) == shown
    assert not [
        character
        for character in shown
        if unicodedata.category(character) in ESCAPED and character not in HARMLESS
    ]
    shown.encode()  # no half surrogate is left


def test_the_ranges_are_those_of_unicode() -> None:
    """Python's tables may be older than the ranges: what they do not know yet counts as fitting."""
    raw, hidden = [], []
    for number in range(sys.maxunicode + 1):
        category = unicodedata.category(chr(number))
        if is_harmless(chr(number)):
            raw += [hex(number)] if category in ESCAPED and chr(number) not in HARMLESS else []
        else:
            hidden += [hex(number)] if category not in {*ESCAPED, "Cn"} else []
    assert (raw, hidden) == ([], [])


def test_a_document_keeps_its_lines() -> None:
    assert printable_layout("<p>\n\ta\u202eb\r\n\x1b\r</p>") == "<p>\n\ta\\u202eb\r\n\\x1b\\r</p>"
    assert printable_layout("e" + "\u0301" * 8) == "e" + "\u0301" * 6 + "\\u0301" * 2
