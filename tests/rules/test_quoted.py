"""Text of others: whose it is, and where it ends, can be seen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labpanel.lib.quoted import MOST, ended, quoted


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Input/output error", '"Input/output error"'),
        ("internal error: client socket is closed", '"internal error: client socket is closed"'),
        ("It failed.", '"It failed"'),
        ("Cannot open.\nPermission denied\n", '"Cannot open; Permission denied"'),
        ("one\r\n\r\n  two ", '"one; two"'),
        ('no "vda" here', "\"no 'vda' here\""),
        ("\x1b[31mred", '"\\x1b[31mred"'),
        ("", "no reason"),
        (" \n ", "no reason"),
        ("...", "no reason"),
    ],
)
def test_quoted(text: str, found: str) -> None:
    assert quoted(text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("It broke", "It broke."),
        ("It broke.", "It broke."),
        ('libvirt says "no".', 'libvirt says "no".'),
        ('libvirt says "no"', 'libvirt says "no".'),
        ("It broke (the cable). ", "It broke (the cable)."),
        ("", ""),
    ],
)
def test_ended(text: str, found: str) -> None:
    assert ended(text) == found


@given(st.text(max_size=2000))
def test_it_is_one_line_between_two_marks(text: str) -> None:
    found = quoted(text)
    assert "\n" not in found
    assert "\\n" not in found or "\\n" in text
    assert found == "no reason" or (found[0] == found[-1] == '"' and '"' not in found[1:-1])
    assert len(found) <= MOST + 2
    assert not found.endswith('."')
