"""Which thing a user meant."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labpanel.lib.naming import pick
from labpanel.lib.refusal import Refusal

VMS = [("home", "1111aaaa"), ("home-copy", "2222bbbb"), ("web", "3333cccc"), ("web", "4444dddd")]


def find(word: str, things: list[tuple[str, str]] | None = None) -> tuple[str, str]:
    known = VMS if things is None else things
    return pick(word, "VM", known, lambda vm: vm, lambda vm: f"{vm[0]} ({vm[1]})")


@pytest.mark.parametrize(
    ("word", "uuid"),
    [("home", "1111aaaa"), ("home-", "2222bbbb"), ("HOME-C", "2222bbbb"), ("44", "4444dddd")],
)
def test_a_name_or_the_beginning_of_one_or_of_a_uuid(word: str, uuid: str) -> None:
    assert find(word)[1] == uuid


@pytest.mark.parametrize("word", ["web", "ho"])
def test_what_can_be_more_than_one_gives_the_choices(word: str) -> None:
    with pytest.raises(Refusal) as refusal:
        find(word)
    assert refusal.value.http_status == 409
    assert "more than one VM" in refusal.value.sentence


def test_an_unknown_name_offers_the_nearest() -> None:
    with pytest.raises(Refusal, match=r"There is no VM 'hme'. Did you mean home") as refusal:
        find("hme")
    assert refusal.value.http_status == 404
    with pytest.raises(Refusal, match="there is none yet"):
        find("home", [])
    with pytest.raises(Refusal, match="Known: home, home-copy"):
        find("zzzzzz")


@given(st.text(max_size=20))
def test_any_word_finds_one_or_is_refused_in_one_line(word: str) -> None:
    try:
        assert find(word) in VMS
    except Refusal as refusal:
        assert "\n" not in refusal.sentence
