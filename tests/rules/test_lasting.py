"""How long a move takes: only from what was measured between the two hosts."""

import pytest

from backups.rules.coverage.exposure import Measure
from labpanel.moves.rules.lasting import Measured, lasting

MIB, GIB = 1 << 20, 1 << 30
MOVES = [Measure(GIB, 10), Measure(2 * GIB, 20)]


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ").replace("\N{NARROW NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(
    ("size", "found", "words", "told"),
    [
        (60 * GIB, Measured(MOVES), "about 10 min", "judged by 2 moves between alpha and beta."),
        (GIB, Measured((), MOVES), "about 10 s", "2 moves between alpha and beta, another way."),
        (GIB, Measured((), (), [Measure(GIB, 4)]), "about 4 s", "by 1 full backup to beta."),
        # a move of next to nothing takes what moves take at least
        (MIB, Measured([*MOVES, Measure(MIB, 6)]), "about 6 s", "judged by 2 moves between"),
        # and five of those tell nothing of how fast data travels
        (GIB, Measured([Measure(MIB, 6)] * 5 + MOVES), "about 10 s", "judged by 2 moves between"),
        (MIB, Measured((), (), [Measure(GIB, 1)]), "about 1 s", "1 full backup"),
    ],
)
def test_a_time_is_said_from_what_was_measured(
    size: int, found: Measured, words: str, told: str
) -> None:
    lasts = lasting(size, "alpha", "beta", found)
    assert plain(lasts.words) == words
    assert told in plain(lasts.sentence)


@pytest.mark.parametrize(
    "found", [Measured(), Measured([Measure(0, 5)]), Measured((), (), [Measure(GIB, 0)])]
)
def test_without_a_speed_no_time_is_promised(found: Measured) -> None:
    lasts = lasting(GIB, "alpha", "beta", found)
    assert (lasts.seconds, lasts.words) == (None, "")
    assert "is not known" in lasts.sentence
    assert "alpha and beta" in lasts.sentence
