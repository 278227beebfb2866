"""Answers of scripts, held to the shape that their fronts promise."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from labpanel.adapters.images.image_host import Packing
from labpanel.adapters.images.mover import Moved, Saved
from labpanel.adapters.moving.move_host import FolderRoom, MoveHostFacts
from labpanel.lib.closed import Odd
from labpanel.lib.shaped import shaped
from labpanel.lib.source_facts import ImageFacts, LastRun
from tests.adapters.mutations import values

ROOM = {
    "exists": True,
    "device": 5,
    "available_bytes": 2**40,
    "mount_point": "/",
    "read_only": False,
}
GROUND = {
    "taken": ["/a"],
    "rooms": {"/srv": ROOM},
    "missing": [],
    "missing_programs": [],
    "bridges": ["br0"],
    "interfaces": ["lo"],
    "memory_available": 2**30,
    "root": True,
}
SAVED = {
    "virtual_bytes": 1,
    "candidate_bytes": 1,
    "read_bytes": 1,
    "written_bytes": 1,
    "seconds": 1.5,
    "unreadable": [[0, 65536]],
    "missed": [],
    "hinted": True,
}


@dataclass(frozen=True)
class Own:
    name: str
    count: int = 0
    pairs: tuple[tuple[str, int], ...] = field(default_factory=tuple)


@pytest.mark.parametrize(
    ("shape", "answer"),
    [
        (str, "x"),
        (int, -(2**63)),
        (int | None, None),
        (float, 3),
        (list[list[int]], [[1, 2], []]),
        (dict[str, bool], {"a": True}),
        (Any, {"what": ["ever"]}),
    ],
)
def test_what_fits_comes_through_as_it_is(shape: Any, answer: Any) -> None:
    assert shaped(shape, answer) == answer


def test_a_dataclass_is_made_of_its_own_fields() -> None:
    assert shaped(Own, {"name": "a", "pairs": [["x", 1]]}) == Own("a", 0, (("x", 1),))
    found = shaped(MoveHostFacts, GROUND)
    assert (found.rooms["/srv"], found.taken) == (FolderRoom(**ROOM), ("/a",))  # type: ignore[arg-type]
    assert shaped(ImageFacts, {"stamps": [1, 2], "bitmaps": {"b": True}}).stamps == (1, 2)


@pytest.mark.parametrize(
    ("shape", "answer", "words"),
    [
        (str, 5, "its answer is not a valid str"),
        (str, "\ud800", "its answer is not a valid str"),
        (int, True, "its answer is not a valid int"),
        (int, 2**64, "its answer is not a valid int"),
        (float, float("nan"), "its answer is not a valid float"),
        (bool, 1, "its answer is not a valid bool"),
        (list[str], {"a": 1}, "its answer is not a list"),
        (list[str], ["a", 1], "its answer is not a valid str"),
        (dict[str, int], [], "its answer is not a set of names and values"),
        (int | None, "x", "its answer is of another kind than it can be"),
        (Own, [], "its answer is not a set of names and values"),
        (Own, {}, "its name is missing"),
        (Own, {"name": "a", "__class__": 1}, "says '__class__', which nothing knows"),
        (Own, {"name": "a", "pairs": [["x"]]}, "its pairs has not 2 parts"),
        (Own, {"name": "a", "count": "1"}, "its count is not a valid int"),
    ],
)
def test_what_does_not_fit_is_said(shape: Any, answer: Any, words: str) -> None:
    with pytest.raises(Odd, match="its "):
        shaped(shape, answer)
    with pytest.raises(Odd) as odd:
        shaped(shape, answer)
    assert words in str(odd.value)


@pytest.mark.parametrize(
    ("shape", "answer"),
    [
        (MoveHostFacts, GROUND),
        (Saved, SAVED),
        (Moved, {**SAVED, "bad": [], "root": "x"}),
        (Packing, {"socket": "/run/x", "name": "a", "plain": "b"}),
        (LastRun, {"started_at": 1.5, "boot_id": "x", "ticks": 100}),
        (list[ImageFacts], [{"stamps": [1], "bitmaps": {"a": True}}]),
    ],
    ids=str,
)
def test_a_damaged_answer_is_a_value_or_odd(shape: Any, answer: Any) -> None:
    for damaged in values(str(shape), answer, 300):
        try:
            shaped(shape, damaged)
        except Odd as odd:
            assert len(str(odd)) < 300
