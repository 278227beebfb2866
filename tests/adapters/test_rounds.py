"""Many rounds of writing, backing up, dying and restoring: every generation kept reads, byte by
byte, as the disk did at its instant. Real QEMU tools, seeded chance."""

import contextlib
from pathlib import Path

import pytest

from tests.adapters.rounds import BLOCK, Rounds

ROUNDS = 30
# What a round may be, beside the guest's own work; the seam for more verbs of the store.
STEPS = (
    *("plain", "plain", "plain", "lost", "deep", "missed", "killed", "grown", "restored"),
    *("pruned", "cut short"),
)


def step(rounds: Rounds, kind: str) -> None:
    """One round: the guest works, and something is done about it."""
    guest = rounds.guest
    match kind:
        case "missed" if guest.trusted and rounds.kept:
            before = bytes(guest.model)
            places = guest.work(recorded=False)
            saved = rounds.back_up(deep=True)
            assert saved.missed == differing(before, bytes(guest.model), places)
        case "killed":
            guest.work()
            rounds.back_up(killed=True)
            raise InterruptedError
        case "restored" if rounds.kept:
            key = rounds.chance.choice(sorted(rounds.kept))
            assert rounds.restore(key) == rounds.kept[key]
        case "pruned" | "cut short" if len(rounds.kept) > 1:
            rounds.prune(killed=kind == "cut short")
        case "grown":
            guest.grow()
            guest.work()
            rounds.back_up()
        case "lost":
            guest.lose()
            guest.work()
            rounds.back_up()
        case _:
            guest.work()
            assert rounds.back_up(deep=kind == "deep").missed == []


def differing(before: bytes, after: bytes, places: list[tuple[int, int]]) -> list[list[int]]:
    """The blocks that are not as they were, as joined ranges of bytes."""
    found: list[list[int]] = []
    for first in range(0, len(after), BLOCK):
        end = min(first + BLOCK, len(after))
        if before[first:end] == after[first:end]:
            continue
        if found and found[-1][1] == first:
            found[-1][1] = end
        else:
            found.append([first, end])
    assert all(any(a < end and first < b for a, b in places) for first, end in found)
    return found


@pytest.mark.timeout(900)  # some 300 programs of QEMU, each in a root of its own
@pytest.mark.parametrize("seed", [1, 2])
def test_every_generation_reads_as_the_disk_did(qemu: None, tmp_path: Path, seed: int) -> None:
    rounds = Rounds(tmp_path, seed)
    kinds = [rounds.chance.choice(STEPS) for _ in range(ROUNDS)]
    while kinds:
        with contextlib.suppress(InterruptedError), rounds.hands():
            rounds.sweep()
            while kinds:
                step(rounds, kinds.pop())
                newest = max(rounds.kept, default="")
                assert not newest or rounds.read(newest) == rounds.kept[newest]
    assert rounds.made > ROUNDS // 2
    assert len(rounds.kept) < rounds.made
    for key, content in rounds.kept.items():
        assert rounds.read(key) == content, key
