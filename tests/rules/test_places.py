"""Which store a place of a policy means for a VM."""

from datetime import UTC, datetime, timedelta

import pytest

from backups.rules.policies.places import StoreCandidate, choose, in_words
from backups.rules.policies.turns import (
    ACTIVE,
    CANCELLED,
    DONE,
    GIVEN_UP,
    MOST_TRIES,
    NOTHING,
    TRY,
    WAIT,
    WAITS,
    Turn,
    decide,
)

NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)

BESIDE = StoreCandidate("beside", on_host=True, same_drive=False, available_bytes=10)
BELOW = StoreCandidate("below", on_host=True, same_drive=True, available_bytes=90)
SHARED = StoreCandidate("shared", on_host=False, same_drive=True, available_bytes=90)
SMALL = StoreCandidate("small", on_host=False, same_drive=False, available_bytes=10)
LARGE = StoreCandidate("large", on_host=False, same_drive=False, available_bytes=90)
HOLDING = StoreCandidate(
    "holding", on_host=False, same_drive=False, available_bytes=1, newest=NOW - DAY
)
HICCUP = StoreCandidate(
    "hiccup",
    on_host=False,
    same_drive=False,
    available_bytes=5,
    silent_since=NOW - HOUR,
    newest=NOW - DAY,
)
DEAD = StoreCandidate(
    "dead",
    on_host=False,
    same_drive=False,
    available_bytes=99,
    silent_since=NOW - 3 * DAY,
    newest=NOW - 4 * DAY,
)


@pytest.mark.parametrize(
    ("word", "stores", "name"),
    [
        ("far", [SMALL, LARGE, BESIDE], "large"),
        ("far", [LARGE, HOLDING], "holding"),  # its next run is small there
        ("far", [LARGE, HICCUP], "hiccup"),  # an hour of silence is no reason to begin anew
        ("far", [SMALL, DEAD], "small"),  # three days are
        ("far", [DEAD], "dead"),
        ("far", [SHARED, SMALL], "small"),  # another machine, but the same drive below
        ("near", [LARGE, BELOW, BESIDE], "beside"),
        ("near", [LARGE, BELOW], "below"),
        ("large", [SMALL, LARGE], "large"),
    ],
)
def test_the_fittest_store(word: str, stores: list[StoreCandidate], name: str) -> None:
    assert choose(word, stores, "alpha", NOW).name == name
    assert choose(word, stores[::-1], "alpha", NOW).name == name


@pytest.mark.parametrize(
    ("word", "stores", "why"),
    [
        ("far", [BESIDE, SHARED], "No store lies away from alpha and its drives"),
        ("near", [LARGE], "There is no store on alpha"),
        ("nas", [LARGE], "There is no store nas any more."),
    ],
)
def test_a_place_that_means_no_store_says_why(
    word: str, stores: list[StoreCandidate], why: str
) -> None:
    choice = choose(word, stores, "alpha", NOW)
    assert choice.name == ""
    assert why in choice.why


def test_places_in_words() -> None:
    assert in_words(["far", "near", "nas"]) == "to another machine, to the VM’s own host and to nas"


@pytest.mark.parametrize(
    ("turn", "decision"),
    [
        (Turn(None), NOTHING),
        (Turn(NOW), TRY),
        (Turn(NOW, 1, "waiting"), ACTIVE),
        (Turn(NOW, 1, "running"), ACTIVE),
        (Turn(NOW, 1, "done", NOW), DONE),
        (Turn(NOW, 1, "cancelled", NOW), CANCELLED),
        (Turn(NOW, 1, "failed", NOW - timedelta(minutes=4)), WAIT),
        (Turn(NOW, 1, "failed", NOW - timedelta(minutes=6)), TRY),
        (Turn(NOW, 2, "lost", NOW - timedelta(minutes=6)), WAIT),
        (Turn(NOW, 2, "errored", NOW - timedelta(minutes=21)), TRY),
        (Turn(NOW, MOST_TRIES, "failed", NOW - DAY), GIVEN_UP),
        (Turn(NOW, 2, ""), TRY),  # its job was forgotten
    ],
)
def test_when_a_run_is_tried(turn: Turn, decision: str) -> None:
    assert decide(turn, NOW)[0] == decision


def test_waits_grow_and_end() -> None:
    ends = [decide(Turn(NOW, tries, "failed", NOW), NOW)[1] for tries in range(1, MOST_TRIES)]
    assert ends == [NOW + wait for wait in WAITS]
    assert list(WAITS) == sorted(WAITS)
    assert decide(Turn(NOW, MOST_TRIES, "failed", NOW), NOW) == (GIVEN_UP, None)
