"""Which disk comes from which generation."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from backups.rules.restore.mixing import Mix, MixableGeneration, changed_targets, mixed

UUID = "11111111-2222-4333-8444-555555555555"


def held(key: str, day: int, *targets: str) -> MixableGeneration:
    taken = datetime(2026, 11, day, tzinfo=UTC)
    return MixableGeneration(key, UUID, "home", taken, frozenset(targets or ("vda", "vdb")))


FIRST, SECOND, THIRD = held("first", 1), held("second", 8), held("third", 15)


def test_all_disks_come_from_the_one_generation() -> None:
    assert mixed(SECOND, {}) == Mix({"vda": "second", "vdb": "second"}, "second")


def test_one_disk_of_an_older_and_the_rest_of_the_newest() -> None:
    assert mixed(THIRD, {"vda": FIRST}) == Mix({"vda": "first", "vdb": "third"}, "third")


def test_the_definition_is_the_newest_involved() -> None:
    assert mixed(FIRST, {"vdb": THIRD}).definition == "third"
    assert mixed(FIRST, {"vdb": THIRD}, definition=SECOND).definition == "second"


def test_only_the_named_disks_and_the_rest_is_told() -> None:
    assert mixed(THIRD, {"vdb": FIRST}, only=True) == Mix({"vdb": "first"}, "first", ("vda",))


def test_one_rotten_disk_does_not_forbid_the_other() -> None:
    rotten = replace(THIRD, damaged=True, bad=frozenset({"vda"}))
    assert "vda of generation third is damaged" in mixed(rotten, {}).problem
    assert mixed(rotten, {"vdb": rotten}, only=True).problem == ""
    assert mixed(rotten, {"vda": FIRST}).problem == ""


@pytest.mark.parametrize(
    ("main", "named", "only", "word"),
    [
        (THIRD, {}, True, "Say which disks"),
        (THIRD, {"vdc": FIRST}, False, "Generation first has no disk vdc; it has vda and vdb."),
        (THIRD, {"vda": replace(FIRST, vm_uuid="other")}, False, "of another VM (home)"),
        (THIRD, {"vda": replace(FIRST, missing=True)}, False, "first is not in its store"),
        (replace(THIRD, damaged=True), {}, False, "of generation third is damaged"),
        (held("late", 20, "vda"), {"vdb": FIRST}, False, "The definition in late has no disk vdb"),
    ],
)
def test_what_cannot_be_mixed_is_one_sentence(
    main: MixableGeneration, named: dict[str, MixableGeneration], only: bool, word: str
) -> None:
    assert word in mixed(main, named, only=only).problem


def test_in_place_needs_the_disk_to_be_there() -> None:
    assert changed_targets({"vda": "first"}, ["vda", "vdb"]) == ""
    assert "has no disk vdb any more" in changed_targets({"vda": "a", "vdb": "a"}, ["vda"])
