"""What a rehearsal shows, and what it does not."""

from dataclasses import replace

import pytest

from backups.rules.rehearsal.place import RehearsalCandidate, order, share
from backups.rules.rehearsal.verdict import Life, RehearsalEvidence, judge, not_booted
from labpanel.lib.guest import Guest, GuestDisk, GuestMount, Tree
from labpanel.lib.rehearsing import Check, Expected

MIB, GIB = 1 << 20, 1 << 30
UP = Life(7.4, 7.4, "guest home: booted after 4 s\n", "changed", had_agent=True)
SILENT = replace(UP, seconds=None, waited=240.0, console="")
DISKS = (Expected("vda", GIB, "labpanel-vda"), Expected("vdb", 2 * GIB, "labpanel-vdb"))
SEEN_DISKS = (GuestDisk("vda", GIB, "labpanel-vda"), GuestDisk("vdb", 2 * GIB, "labpanel-vdb"))
MOUNTS = (GuestMount("/", "/dev/vda1", "ext4"), GuestMount("/home", "/dev/vdb", "ext4"))
TREES = {"/": Tree(50, 1_700_000_900, 0, 0), "/home": Tree(245, 1_700_000_000, 0, 0)}
LIVE_TREES = {
    "/": Tree(55, 1_700_000_999, 50, 1_700_000_900),
    "/home": Tree(247, 1_700_009_999, 245, 1_700_000_000),
}
GUEST = Guest(SEEN_DISKS, MOUNTS, trees=TREES)
LIVE = Guest(SEEN_DISKS, MOUNTS, trees=LIVE_TREES)
ALL_WELL = RehearsalEvidence("home", "beta", UP, DISKS, GUEST, LIVE)


def check(seen: RehearsalEvidence, what: str) -> Check:
    return next(one for one in judge(seen).checks if one.what == what)


def with_home(tree: Tree | None, live: Tree | None = LIVE_TREES["/home"]) -> RehearsalEvidence:
    mine = {**TREES, "/home": tree} if tree else {"/": TREES["/"]}
    theirs = {**LIVE_TREES, "/home": live} if live else {"/": LIVE_TREES["/"]}
    return replace(ALL_WELL, guest=replace(GUEST, trees=mine), live=replace(LIVE, trees=theirs))


def test_a_copy_in_which_all_is_there_passes() -> None:
    outcome = judge(ALL_WELL)
    assert outcome.passed is True
    assert outcome.sentence == "home booted from this copy on beta in 7\u00a0s with 2 disks."
    assert all(one.passed for one in outcome.checks)
    assert "“guest home: booted after 4 s”" in check(ALL_WELL, "The guest comes up").seen


def test_an_empty_home_fails_loudly() -> None:
    outcome = judge(with_home(Tree(0, 0, 0, 0)))
    assert outcome.passed is False
    assert outcome.sentence == (
        "The copy of home failed its rehearsal on beta. Files in /home: /home is empty; the "
        "running VM has 247 files there, 245 of them older than this copy."
    )


@pytest.mark.parametrize(
    ("live", "own", "passed"),
    [
        (Tree(0, 0, 0, 0), True, False),  # a file system for nothing: emptied before the backup
        (None, True, False),
        (Tree(0, 0, 0, 0), False, True),  # a plain folder, empty in the running VM too
        (None, False, None),
        (Tree(4, 9, 0, 0), False, None),  # all of it younger than the copy
        (Tree(4, 9, 1, 9), False, False),
    ],
)
def test_an_empty_home_by_what_is_known(live: Tree | None, own: bool, passed: bool | None) -> None:
    mounts = MOUNTS if own else MOUNTS[:1]
    seen = with_home(Tree(0, 0, 0, 0), live)
    assert seen.guest is not None
    assert seen.live is not None
    seen = replace(
        seen,
        guest=replace(seen.guest, mounts=mounts),
        live=replace(seen.live, mounts=mounts),
    )
    assert check(seen, "Files in /home").passed is passed


@pytest.mark.parametrize(
    ("files", "passed"), [(245, True), (241, True), (239, None), (222, None), (220, False)]
)
def test_files_that_must_be_there_are_counted(files: int, passed: bool | None) -> None:
    """245 files of the running VM are older than the copy: 98 % are right, below 90 % wrong."""
    assert check(with_home(Tree(files, 1_700_000_000, 0, 0)), "Files in /home").passed is passed


def test_files_written_since_the_backup_are_not_missed() -> None:
    now = Tree(9000, 1_800_000_000, 245, 1_700_000_000)
    assert judge(with_home(TREES["/home"], now)).passed is True


def test_a_newest_file_that_should_be_there_is_not_proven() -> None:
    seen = with_home(Tree(245, 1_699_000_000, 0, 0))
    found = check(seen, "Files in /home")
    assert found.passed is None
    assert "2023-11-14 22:13:20 UTC" in found.seen


def test_too_many_files_to_count_are_not_proven() -> None:
    assert check(with_home(Tree(300_000, 9, 0, 0, cut=True)), "Files in /home").passed is None


def test_without_the_running_vm_there_is_nothing_to_compare() -> None:
    seen = replace(ALL_WELL, live=None, why_no_live="home is shut off")
    outcome = judge(seen)
    assert outcome.passed is True  # it boots, and all disks are there
    assert check(seen, "Files in /home").passed is None
    assert "home is shut off" in check(seen, "Files in /home").seen


def test_a_disk_that_the_generation_lacks_fails() -> None:
    lacking = replace(DISKS[1], bytes=0, why_absent="This generation holds nothing of it.")
    outcome = judge(replace(ALL_WELL, disks=(DISKS[0], lacking)))
    assert outcome.passed is False
    assert "Disk vdb: This generation holds nothing of it." in outcome.sentence


def test_a_disk_that_its_owner_took_out_fails_nothing_but_proves_nothing() -> None:
    out = Expected("vdb", 0, "x", why_absent="anna took it out: scratch", chosen=True)
    guest = replace(GUEST, disks=SEEN_DISKS[:1])
    outcome = judge(replace(ALL_WELL, disks=(DISKS[0], out), guest=guest))
    assert outcome.passed is None
    assert "not proven" in outcome.sentence


@pytest.mark.parametrize(
    ("device", "passed"),
    [
        (GuestDisk("sdb", 2 * GIB, ""), True),  # its serial is not seen on this bus, its size is
        (GuestDisk("vdb", 0, "labpanel-vdb"), True),  # an agent that does not say sizes
        (GuestDisk("vdb", GIB, "labpanel-vdb"), False),
        (GuestDisk("sdb", 3 * GIB, ""), False),
        (GuestDisk("sdb", 2 * GIB, "another"), False),
    ],
)
def test_a_device_is_a_disk_by_serial_number_or_size(device: GuestDisk, passed: bool) -> None:
    seen = replace(ALL_WELL, guest=replace(GUEST, disks=(SEEN_DISKS[0], device)))
    assert check(seen, "Disk vdb").passed is passed


def test_one_device_stands_for_one_disk() -> None:
    twins = (Expected("vda", GIB, "a"), Expected("vdb", GIB, "b"))
    guest = replace(GUEST, disks=(GuestDisk("sda", GIB, ""),))
    seen = replace(ALL_WELL, disks=twins, guest=guest)
    assert [one.passed for one in judge(seen).checks[1:3]] == [True, False]


def test_a_file_system_that_does_not_mount_fails() -> None:
    guest = replace(GUEST, mounts=MOUNTS[:1])
    seen = replace(ALL_WELL, guest=guest)
    assert judge(seen).passed is False
    assert (
        "File system /home: It is mounted in the running VM, but not here." in judge(seen).sentence
    )
    wanted = replace(ALL_WELL, guest=replace(guest, wanted=("/", "/home")), live=None)
    assert "fstab" in check(wanted, "File system /home").seen
    assert judge(wanted).passed is False


def test_a_file_system_on_a_disk_younger_than_the_copy_is_not_missed() -> None:
    guest = replace(GUEST, mounts=MOUNTS[:1], trees={"/": TREES["/"]})
    seen = replace(ALL_WELL, guest=guest, younger=("vdb",), disks=DISKS[:1])
    assert check(seen, "File system /home").passed is None
    assert judge(seen).passed is True


@pytest.mark.parametrize(
    ("life", "passed"),
    [
        (replace(SILENT, had_agent=False, console="Debian 12\n\nhome login: "), True),
        (replace(SILENT, console="[0.0] Linux version 6.1\n[ OK ] Reached\n"), None),
        (replace(SILENT, had_agent=False), None),  # the screen went on from the firmware's
        (replace(SILENT, had_agent=False, screen="same"), None),
        (replace(SILENT, screen="same"), None),
        (replace(SILENT, awaited=True), False),
        (replace(SILENT, awaited=True, console="Linux version 6.1"), False),
        (replace(SILENT, console="Kernel panic - not syncing: VFS"), False),
        (replace(SILENT, console="You are in emergency mode.\nGive root password"), False),
        (replace(SILENT, console="x", ended="The guest switched itself off."), False),
    ],
)
def test_signs_of_life(life: Life, passed: bool | None) -> None:
    seen = replace(ALL_WELL, life=life, guest=None, live=None)
    outcome = judge(seen)
    assert outcome.checks[0].passed is passed
    assert outcome.passed is (False if passed is False else None)  # the disks were not seen


def test_what_a_console_says_is_shown_without_control_characters() -> None:
    life = replace(SILENT, console="\x1b[2J\x07Linux version\u202e evil\r\n")
    said = judge(replace(ALL_WELL, life=life, guest=None)).checks[0].seen
    assert "\x1b" not in said
    assert "\u202e" not in said


def test_what_was_left_out_is_said() -> None:
    seen = replace(ALL_WELL, left_out=("1 network card", "1 TPM"))
    last = judge(seen).checks[-1]
    assert (last.passed, last.seen) == (None, "It was booted without 1 network card and 1 TPM.")
    assert judge(seen).passed is True


def test_a_copy_that_cannot_be_opened_is_not_booted() -> None:
    broken = replace(DISKS[1], why_absent="vdb.qcow2 cannot be opened: No such file.")
    outcome = not_booted("home", (DISKS[0], broken))
    assert outcome.passed is False
    assert outcome.sentence == (
        "The copy of home cannot be booted. Disk vdb: vdb.qcow2 cannot be opened: No such file."
    )


def test_the_stores_own_host_comes_first_and_the_busy_one_last() -> None:
    found = [
        RehearsalCandidate("alpha", has_store=False, is_source=True),
        RehearsalCandidate("gamma", has_store=True, is_source=False, against="it does not answer"),
        RehearsalCandidate("delta", has_store=False, is_source=False),
        RehearsalCandidate("beta", has_store=True, is_source=False),
    ]
    assert [one.name for one in order(found)] == ["beta", "delta", "alpha"]


@pytest.mark.parametrize(
    ("wanted", "available", "free", "given", "why"),
    [
        (2 * GIB, 8 * GIB, 100 * GIB, 2 * GIB, ""),
        (8 * GIB, 4 * GIB, 100 * GIB, 4 * GIB - 512 * MIB, ""),  # a sixteenth of 8 GiB is left
        (8 * GIB, 2 * GIB, 100 * GIB, 0, "1536 MiB of memory to spare and 2048 are needed"),
        (160 * MIB, 700 * MIB, 100 * GIB, 160 * MIB, ""),
        (2 * GIB, 8 * GIB, 200 * MIB, 0, "only 200 MiB are free where images lie"),
    ],
)
def test_a_guest_gets_what_its_host_can_spare(
    wanted: int, available: int, free: int, given: int, why: str
) -> None:
    found = share(
        wanted_memory=wanted,
        wanted_vcpus=8,
        memory_bytes=8 * GIB,
        available_bytes=available,
        cpus=4,
        free_bytes=free,
    )
    assert found.memory_bytes == given
    assert why in found.why_not
    if given:
        assert (found.vcpus, found.scratch_bytes) == (2, 8 * GIB)
