"""What would be lost, and how long getting it back takes: never a number that was not measured."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from backups.rules.coverage.coverage import DiskCopy
from backups.rules.coverage.exposure import (
    BACKUP,
    NOT_MEASURED,
    RESTORE,
    VERIFY,
    Measure,
    Speed,
    Standing,
    all_back,
    loss_of,
    measured,
    worst_first,
)

NOW = datetime(2026, 11, 22, 23, 15, tzinfo=UTC)
GIB = 2**30
FAST = {"far": Speed("far", GIB / 4, RESTORE, 3)}


def copy(hours: int = 3, store: str = "far") -> DiskCopy:
    return DiskCopy("g1", store, NOW - timedelta(hours=hours), off_host=True)


def disk(
    name: str, found: DiskCopy | None, level: str = "good", used: int = 6, stored: int = 20
) -> Standing:
    return Standing(name, level, used * GIB, found, stored * GIB)


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(
    ("disks", "level", "words"),
    [
        ([disk("vda", copy())], "good", "the last 3 h of changes"),
        ([disk("vda", copy(), "watch")], "watch", "the last 3 h of changes"),
        ([disk("vda", copy(), "bad")], "watch", "the last 3 h of changes"),
        ([disk("vda", None, "bad")], "bad", "everything (6 GiB)"),
        (
            [disk("vdb", None, "bad", 38), disk("vda", copy())],
            "bad",
            "everything on vdb (38 GiB), and the last 3 h on vda",
        ),
        ([disk("vda", copy()), disk("vdb", copy(60))], "good", "the last 2 d of changes"),
        ([disk("vda", copy()), disk("vdb", None, "excluded")], "good", "the last 3 h of changes"),
    ],
)
def test_what_would_be_lost(disks: list[Standing], level: str, words: str) -> None:
    loss = loss_of("home", disks, {}, NOW)
    assert loss is not None
    assert (loss.level, plain(loss.words)) == (level, words)


def test_a_copy_that_nobody_can_look_at_now_is_no_promise() -> None:
    silent = replace(copy(), silent="beta does not answer.")
    loss = loss_of("home", [disk("vda", silent, "unknown"), disk("vdb", copy(2, "near"))], {}, NOW)
    assert loss is not None
    assert loss.level == "watch"
    said = "the last 3 h of changes, if far still has its copies, which cannot be checked now"
    assert plain(loss.words) == said


def test_a_vm_left_out_on_purpose_loses_nothing_that_counts() -> None:
    assert loss_of("home", [disk("vda", None, "excluded")], {}, NOW) is None


def test_getting_back_takes_what_was_measured() -> None:
    loss = loss_of("home", [disk("vda", copy()), disk("vdb", copy(), stored=40)], FAST, NOW)
    assert loss is not None
    assert loss.back is not None
    assert loss.back.seconds == 240
    assert plain(loss.back.words) == "about 4 min"
    assert plain(loss.back.why) == (
        "60 GiB are stored; the speed of far: 256 MiB/s, judged by 3 restores from it."
    )


def test_nothing_comes_back_in_no_time() -> None:
    speeds = {"far": Speed("far", 100 * GIB, BACKUP, 1)}
    loss = loss_of("home", [disk("vda", copy())], speeds, NOW)
    assert loss is not None
    assert loss.back is not None
    assert plain(loss.back.words) == "about 1 s"


def test_one_store_that_was_never_measured_leaves_the_time_open() -> None:
    loss = loss_of("home", [disk("vda", copy()), disk("vdb", copy(store="new"))], FAST, NOW)
    assert loss is not None
    assert loss.back is not None
    assert (loss.back.seconds, loss.back.words) == (None, NOT_MEASURED)


def test_what_has_no_copy_cannot_come_back() -> None:
    loss = loss_of("home", [disk("vda", None, "bad")], FAST, NOW)
    assert loss is not None
    assert loss.back is None
    assert all_back([loss]) is None


def test_a_host_is_back_when_all_its_vms_are() -> None:
    first = loss_of("home", [disk("vda", copy())], FAST, NOW)
    second = loss_of("web", [disk("vda", copy())], FAST, NOW)
    unmeasured = loss_of("new", [disk("vda", copy(store="new"))], FAST, NOW)
    assert first
    assert second
    assert unmeasured
    both = all_back([first, second])
    assert both is not None
    assert (both.seconds, both.speeds) == (160, (FAST["far"],))
    whole = all_back([first, unmeasured])
    assert whole is not None
    assert whole.seconds is None


def test_worst_first() -> None:
    found = [
        loss_of(name, [disk("vda", found, level)], {}, NOW)
        for name, found, level in (
            ("b", copy(), "good"),
            ("a", copy(), "good"),
            ("c", copy(), "watch"),
            ("d", None, "bad"),
        )
    ]
    assert [loss.vm for loss in worst_first([loss for loss in found if loss])] == list("dcab")


@pytest.mark.parametrize(
    ("stored", "words"),
    [(20 * GIB, "about 80 s"), (GIB, "about 4 s"), (300 << 20, "about 1 s"), (0, "about 1 s")],
)
def test_the_time_follows_what_is_stored_and_not_the_size_of_the_disk(
    stored: int, words: str
) -> None:
    loss = loss_of("home", [Standing("vda", "good", 500 * GIB, copy(), stored)], FAST, NOW)
    assert loss is not None
    assert loss.back is not None
    assert plain(loss.back.words) == words


def took(seconds: float, size: int = 1000) -> Measure:
    return Measure(size, seconds)


def test_restores_tell_more_than_readings_and_backups() -> None:
    by_kind = {BACKUP: [took(100)], VERIFY: [took(50)], RESTORE: [took(20), took(10), took(200)]}
    assert measured("far", by_kind) == Speed("far", 50.0, RESTORE, 3)
    del by_kind[RESTORE]
    assert measured("far", by_kind) == Speed("far", 20.0, VERIFY, 1)
    nothing = {VERIFY: [took(0), took(5, 0)], BACKUP: [took(100)]}
    assert measured("far", nothing) == Speed("far", 10.0, BACKUP, 1)
    assert measured("far", {}) is None


def test_only_the_newest_measurements_count() -> None:
    speed = measured("far", {RESTORE: [took(10)] * 5 + [took(1000)] * 6})
    assert speed == Speed("far", 100.0, RESTORE, 5)


def test_little_data_tells_of_beginnings_and_not_of_speed() -> None:
    """Five empty VMs came back in 5 s each; the one with data tells how fast the store is."""
    little = [took(5, 1 << 20)] * 5
    assert measured("far", {RESTORE: [*little, took(10, 10 * GIB)]}) == Speed(
        "far", GIB, RESTORE, 1
    )
    assert measured("far", {RESTORE: little}) == Speed("far", (1 << 20) / 5, RESTORE, 5)
    near = [took(10, 2 * GIB), took(20, 10 * GIB)]
    assert measured("far", {RESTORE: near}) == Speed("far", 0.35 * GIB, RESTORE, 2)
