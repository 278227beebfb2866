"""Findings of several looks add up, and each look takes back only what it can see."""

import pytest

from backups.rules.backup.lineage import Lineage, holders
from backups.rules.backup.spans import common, joined, without
from backups.rules.copies.faults import (
    CHANGED,
    CONTENT,
    FILES,
    LOOK,
    ROTTEN,
    Fault,
    InspectedGeneration,
    added,
    bad_of,
    text,
)
from labpanel.lib.byte_spans import spelled

FILE = Fault(FILES, "a", "vda.qcow2", CHANGED, "vda")
LOST = Fault(LOOK, "a", "", "vda.qcow2 is gone")


def rot(*ranges: list[int], of: str = "a") -> Fault:
    return Fault(CONTENT, of, "vda.qcow2", ROTTEN, "vda", list(ranges))


@pytest.mark.parametrize(
    ("old", "seen", "left"),
    [
        ([], InspectedGeneration([FILE], frozenset({FILES})), [FILE]),
        ([FILE], InspectedGeneration([FILE], frozenset({FILES})), [FILE]),
        ([FILE], InspectedGeneration(levels=frozenset({FILES})), []),
        ([FILE, LOST], InspectedGeneration(levels=frozenset({LOOK})), [FILE]),
        # Reading takes back no changed file, hashing no rotten content.
        ([FILE], InspectedGeneration(within={"vda": [[0, 99]]}), [FILE]),
        ([rot([0, 8])], InspectedGeneration(levels=frozenset({FILES})), [rot([0, 8])]),
        ([rot([0, 8])], InspectedGeneration(within={"vda": [[0, 99]]}), []),
        ([rot([0, 8])], InspectedGeneration(within={"vda": [[2, 4]]}), [rot([0, 2], [4, 8])]),
        ([rot([0, 8])], InspectedGeneration(within={"vdb": [[0, 99]]}), [rot([0, 8])]),
        (
            [rot([0, 8])],
            InspectedGeneration([rot([8, 9])], within={"vda": [[8, 9]]}),
            [rot([0, 9])],
        ),
        (
            [rot([0, 8])],
            InspectedGeneration([rot([2, 4])], within={"vda": [[0, 99]]}),
            [rot([2, 4])],
        ),
    ],
)
def test_a_look_takes_back_what_it_can_see(
    old: list[Fault], seen: InspectedGeneration, left: list[Fault]
) -> None:
    assert added(old, seen) == left


def test_bad_bytes_end_with_the_disk() -> None:
    assert bad_of([rot([0, 8], [6, 20]), FILE], "vda", 10) == [[0, 10]]
    assert bad_of([rot([0, 8])], "vdb", 10) == []


def test_the_words_say_whose_file_it_is() -> None:
    faults = [rot([0, 8], of="b"), LOST, Fault(LOOK, "a", "", "vda.qcow2 is gone")]
    assert text(faults, "a") == (
        "vda.qcow2 of generation b, which it is built on, differs from what was backed up at "
        "bytes 0–7 of vda; vda.qcow2 is gone"
    )


@pytest.mark.parametrize(
    ("bad", "found"),
    [
        ({"c": [[0, 9]]}, [("c", [[0, 9]])]),
        ({"c": [[0, 9]], "b": [[0, 9]]}, [("b", [[0, 9]])]),
        ({"c": [[0, 9]], "a": [[0, 9]]}, [("c", [[0, 9]])]),  # the second one hides it
        (
            {"c": [[0, 9]], "b": [[3, 9]], "a": [[6, 9]]},
            [("c", [[0, 3]]), ("b", [[3, 6]]), ("a", [[6, 9]])],
        ),
        ({"a": [[0, 9]]}, []),
    ],
)
def test_whose_file_holds_the_rot(
    bad: dict[str, list[list[int]]], found: list[tuple[str, list[list[int]]]]
) -> None:
    assert holders(["c", "b", "a"], bad) == found


def test_lines_of_images() -> None:
    lineage = Lineage({"a": "", "b": "a", "c": "b", "x": "a", "lost": "gone", "r": "s", "s": "r"})
    assert lineage.chain("c") == ["c", "b", "a"]
    assert lineage.chain("lost") == ["lost"]
    assert sorted(lineage.chain("r")) == ["r", "s"]
    assert lineage.built_on("a") == ["b", "x", "c"]
    assert lineage.built_on("c") == []


def test_spans() -> None:
    assert joined([[4, 6], [0, 2], [2, 4], [9, 9]]) == [[0, 6]]
    assert common([[0, 5], [8, 9]], [[3, 10]]) == [[3, 5], [8, 9]]
    assert without([[0, 10]], [[2, 3], [9, 20]]) == [[0, 2], [3, 9]]
    assert spelled([[0, 1]] * 6) == ", ".join(["bytes 0–0"] * 4) + " and 2 more places"
