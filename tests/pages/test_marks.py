"""Marks: a shape, a word, and a colour that is the same wherever the state is shown."""

import pytest

from backups.rules.coverage.coverage import LEVELS
from labpanel.home.templatetags.panel import mark


@pytest.mark.parametrize("verdict", LEVELS)
def test_a_verdict_has_the_colour_that_its_rule_gives_it(verdict: str) -> None:
    told, by_level = mark(verdict, "word"), mark(LEVELS[verdict], "word")
    assert told == by_level
