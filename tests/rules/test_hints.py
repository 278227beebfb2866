"""When a record of what changed may be trusted: only where nothing can have got past it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from backups.rules.backup import hints
from backups.rules.backup.hints import CurrentVM, ParentDisk
from labpanel.lib.disks import SourceDisk
from labpanel.lib.hints import BITMAP, DEEP, FULL, READ, UNCHANGED
from labpanel.lib.source_facts import ImageFacts, LastRun
from labpanel.lib.store_format.reading import checked
from tests.made_manifests import KEY, asked_disk, sealed, value, whole

DISK = SourceDisk("vda", "disk", "file", "/srv/images/home.qcow2", "qcow2", node="1")
BOOT = "b00:123:4000"
KEPT = ParentDisk(
    generation="20261122T231500Z-3f9a",
    host="alpha",
    boot=BOOT,
    checkpoint="labpanel-p-s-g",
    source=DISK.source,
    node="1",
    virtual_bytes=1 << 20,
)
IMAGE = ImageFacts(holds_bitmaps=True)
NOW = CurrentVM("home", "alpha", BOOT, {"labpanel-p-s-g": ""})

# The VM's last process began 40 s after boot, that is at 1040, and was seen to end at 2000.
RUN = LastRun(started_at=1039.5, ended_at=2000.0, boot_id="b00", booted_at=1000.0)
OFF = CurrentVM("home", "alpha", last_run=RUN)
CLOSED = ImageFacts(
    stamps=(7, 100, 5, 6),
    holds_bitmaps=True,
    bitmaps={"labpanel-p-s-g": True},
    written_at=1999.9,
    changed_at=2000.1,
)


def running(
    now: CurrentVM = NOW,
    disk: SourceDisk = DISK,
    image: ImageFacts = IMAGE,
    kept: ParentDisk | None = KEPT,
    size: int = 1 << 20,
    deep: bool = False,
) -> tuple[str, str, str]:
    hint = hints.of_running(now, disk, size, image, kept, deep=deep)
    return hint.mode, hint.context, hint.why


def off(
    now: CurrentVM = OFF,
    disk: SourceDisk = DISK,
    image: ImageFacts = CLOSED,
    kept: ParentDisk | None = KEPT,
    size: int = 1 << 20,
    deep: bool = False,
) -> tuple[str, str, str]:
    hint = hints.of_off(now, disk, size, image, kept, deep=deep)
    return hint.mode, hint.context, hint.why


def test_a_proven_record_of_the_same_process_is_trusted() -> None:
    assert running()[:2] == (BITMAP, "qemu:dirty-bitmap:backup-vda")


def test_a_first_time_is_full() -> None:
    assert running(kept=None)[0] == off(kept=None)[0] == FULL


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"kept": replace(KEPT, host="beta")}, "was on beta"),
        ({"kept": replace(KEPT, boot="b00:124:4000")}, "started anew"),
        ({"kept": replace(KEPT, boot="")}, "was off"),
        ({"now": replace(NOW, boot="")}, "started anew"),
        ({"kept": replace(KEPT, checkpoint="")}, "No record"),
        ({"kept": replace(KEPT, source="/srv/other.qcow2")}, "another image"),
        ({"kept": replace(KEPT, node="3")}, "plugged anew"),
        ({"size": 2 << 20}, "resized"),
        ({"disk": replace(DISK, format="raw")}, "raw"),
        ({"image": replace(IMAGE, holds_bitmaps=False)}, "compat 0.10"),
        ({"now": replace(NOW, doubts={})}, "not proven"),
        (
            {
                "now": replace(
                    NOW, doubts={"labpanel-p-s-g": "missing or broken bitmap for disk 'vda'"}
                )
            },
            "lost or broken",
        ),
    ],
)
def test_any_doubt_about_a_running_vm_reads_everything(changed: dict, word: str) -> None:
    mode, context, why = running(**changed)
    assert (mode, context) == (READ, "")
    assert word in why
    assert running(**changed, deep=True)[:2] == (DEEP, "")


TAKEN = datetime(2026, 11, 22, 23, 15, tzinfo=UTC)
DATED = replace(KEPT, taken_at=TAKEN)


@pytest.mark.parametrize(
    ("moved_at", "words"),
    [
        (TAKEN + timedelta(hours=1), "home was moved to alpha since generation"),
        (TAKEN + timedelta(days=30), "home was moved to alpha since generation"),
        (TAKEN - timedelta(hours=1), "home was started anew since generation"),
        (None, "home was started anew since generation"),
    ],
)
def test_a_vm_that_was_moved_is_not_called_started_anew(
    moved_at: datetime | None, words: str
) -> None:
    """Away and back: on the host of the generation, in another process."""
    other = replace(DATED, boot="b00:124:4000")
    assert running(replace(NOW, moved_at=moved_at), kept=other)[2].startswith(words)
    assert off(replace(OFF, moved_at=moved_at), kept=replace(DATED, boot="b00:123:900"))[
        2
    ].startswith(words)


@pytest.mark.parametrize(
    ("disk", "kept", "words"),
    [
        (
            replace(DISK, source="/srv/images/home.s1", chain=((DISK.source, "qcow2"), ("", ""))),
            KEPT,
            "A snapshot put /srv/images/home.s1 on top of vda's image since",
        ),
        (
            DISK,
            replace(KEPT, source="/srv/images/home.s1", chain=(DISK.source,)),
            "A snapshot of vda was merged into /srv/images/home.qcow2 since",
        ),
        (
            DISK,
            replace(KEPT, source="/s/home.s2", chain=("/s/home.s1", DISK.source)),
            "A snapshot of vda was merged into /srv/images/home.qcow2 since",
        ),
        (DISK, replace(KEPT, source="/srv/old.qcow2"), "vda had another image"),
    ],
)
def test_a_snapshot_that_came_or_went_is_named(
    disk: SourceDisk, kept: ParentDisk, words: str
) -> None:
    mode, _, why = running(disk=disk, kept=kept)
    assert mode == READ
    assert why.startswith(words)


def test_one_lost_bitmap_does_not_cost_the_other_disks() -> None:
    words = "checkpoint inconsistent: missing or broken bitmap 'labpanel-p-s-g' for disk 'vdb'"
    doubting = replace(NOW, doubts={"labpanel-p-s-g": words})
    assert running(doubting)[0] == BITMAP
    assert running(doubting, replace(DISK, target="vdb"))[0] == READ


def test_a_deep_run_reads_all_beside_the_record() -> None:
    assert running(deep=True)[:2] == (DEEP, "qemu:dirty-bitmap:backup-vda")
    assert off(deep=True)[:2] == (DEEP, "qemu:dirty-bitmap:labpanel-p-s-g")


def test_an_untouched_image_is_not_read() -> None:
    assert off(kept=replace(KEPT, boot="", stamps=CLOSED.stamps))[0] == UNCHANGED
    assert off(kept=replace(KEPT, boot="", stamps=CLOSED.stamps), deep=True)[0] == DEEP


@pytest.mark.parametrize("place", range(4))
def test_any_changed_stamp_is_a_touched_image(place: int) -> None:
    stamps = tuple(one + (at == place) for at, one in enumerate(CLOSED.stamps))
    assert off(kept=replace(KEPT, boot="", stamps=stamps))[0] == READ


def test_no_stamps_are_no_proof() -> None:
    assert off(image=ImageFacts(), kept=replace(KEPT, boot=""))[0] == READ


def test_a_record_that_was_closed_in_good_order_is_trusted() -> None:
    assert off()[:2] == (BITMAP, "qemu:dirty-bitmap:labpanel-p-s-g")


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"kept": replace(KEPT, host="beta")}, "was on beta"),
        ({"kept": replace(KEPT, boot="")}, "No record"),
        ({"kept": replace(KEPT, boot="b00:123:900")}, "started anew"),
        ({"kept": replace(KEPT, boot="other:123:4000")}, "does not show"),
        ({"now": CurrentVM("home", "alpha")}, "does not show"),
        ({"now": replace(OFF, last_run=replace(RUN, ended_at=0.0))}, "does not show"),
        ({"image": replace(CLOSED, bitmaps={"labpanel-p-s-g": False})}, "not closed"),
        ({"image": replace(CLOSED, bitmaps={})}, "not closed"),
        ({"image": replace(CLOSED, written_at=2000.1)}, "was written to"),
        ({"image": replace(CLOSED, written_at=0.0)}, "was written to"),
        ({"image": replace(CLOSED, changed_at=2100.0)}, "was written to"),
        ({"size": 2 << 20}, "resized"),
        ({"disk": replace(DISK, format="raw")}, "raw"),
    ],
)
def test_any_doubt_about_a_vm_that_is_off_reads_everything(changed: dict, word: str) -> None:
    mode, context, why = off(**changed)
    assert (mode, context) == (READ, "")
    assert word in why


def test_no_record_is_begun_where_it_would_stop_a_snapshot_from_loading() -> None:
    assert hints.begins_record(DISK, IMAGE, 0)
    assert not hints.begins_record(DISK, IMAGE, 1)
    assert not hints.begins_record(replace(DISK, format="raw"), IMAGE, 0)
    assert not hints.begins_record(DISK, replace(IMAGE, holds_bitmaps=False), 0)


PANEL, STORE, OTHER, GONE = "11112222-3333", "aaaabbbb-cccc", "ddddeeee-ffff", "99998888-7777"


def test_only_our_own_strays_go() -> None:
    new, old = (hints.checkpoint_name(PANEL, STORE, key) for key in ("new", "old"))
    others = hints.checkpoint_name(PANEL, OTHER, "old")
    removed = hints.checkpoint_name(PANEL, GONE, "old")
    foreign = ["virtnbdbackup.0", "mine", hints.checkpoint_name("other-panel", STORE, "old")]
    names = [new, old, others, removed, *foreign]
    assert hints.strays(names, PANEL, STORE, new, [STORE, OTHER]) == [old, removed]


def test_manifests_of_any_age_can_be_read() -> None:
    said = whole(disks=[asked_disk(source="/x", virtual_bytes=5)])
    for name in ("boot", "checkpoint"):
        del said[name]
    for name in ("node", "stamps"):
        del said["disks"][0][name]
    found = checked(sealed(said))
    expected = ParentDisk(KEY, "alpha", source="/x", virtual_bytes=5, taken_at=found.taken_at)
    assert hints.kept_of(found, "vda") == expected
    assert hints.kept_of(found, "vdb") is None


@pytest.mark.parametrize("text", ["x", "b00:1", "b00:1:x", "b00:1:2:3", "", "None", "7", "b:-1:2"])
def test_a_process_that_a_manifest_misnames_is_no_process(text: str) -> None:
    kept = hints.kept_of(value(boot=text), "vda")
    assert kept is not None
    assert kept.boot == ""
    process = "9bfc4b1f-2231-4e40-b8e4-b168b21e43f9:116:1385502"
    again = hints.kept_of(value(boot=process), "vda")
    assert again is not None
    assert again.boot == process
