"""What the appliance shows of a guest in which no agent can be asked."""

from dataclasses import replace

import pytest

from backups.rules.rehearsal.verdict import Life, RehearsalEvidence, judge
from labpanel.lib.guest import Guest, GuestDisk, GuestFileSystem, GuestMount, Insides, Tree
from labpanel.lib.rehearsing import Check, Expected

MIB = 1 << 20
LOGIN = Life(None, 20.0, "Debian 12 silent ttyS0\n\nsilent login: ", "changed", had_agent=False)
MUTE = replace(LOGIN, console="")
DISKS = (Expected("vda", 8 * MIB, "a"), Expected("vdb", 8 * MIB, "b"))
ROOT, HOME = (
    GuestFileSystem("vda1", "ext4", point="/"),
    GuestFileSystem("vdb", "ext4", "files", "/home"),
)
WHOLE = Insides(
    disks=(GuestDisk("vda", 8 * MIB, ""), GuestDisk("vdb", 8 * MIB, "")),
    systems=(ROOT, HOME),
    trees={"/": Tree(50, 9, 50, 9), "/home": Tree(245, 9, 245, 9)},
)
SEEN = RehearsalEvidence("silent", "beta", LOGIN, DISKS, None, None, "it is off", insides=WHOLE)


def found(insides: Insides, what: str, seen: RehearsalEvidence = SEEN) -> Check:
    outcome = judge(replace(seen, insides=insides))
    return next(one for one in outcome.checks if one.what == what)


def with_home(system: GuestFileSystem) -> Insides:
    return replace(WHOLE, systems=(ROOT, system))


@pytest.mark.parametrize(
    "ending", ["silent login: ", "Please press Enter to activate this console. ", "Password:"]
)
def test_a_console_that_asks_to_sign_in_and_whole_disks_pass(ending: str) -> None:
    outcome = judge(replace(SEEN, life=replace(LOGIN, console=ending)))
    assert outcome.passed is True
    assert "2 disks and 2 file systems were opened from outside" in outcome.sentence


def test_whole_disks_alone_do_not_prove_that_it_boots() -> None:
    outcome = judge(replace(SEEN, life=MUTE))
    assert outcome.passed is None
    assert "2 disks and 2 file systems are as they should be, but it is not" in outcome.sentence
    assert all(one.passed for one in outcome.checks if one.what.startswith(("Disk", "File sys")))


def test_a_file_system_that_does_not_mount_fails_by_its_name() -> None:
    insides = with_home(replace(HOME, why_not="wrong fs type, bad superblock"))
    outcome = judge(replace(SEEN, insides=insides))
    assert outcome.passed is False
    assert "File system /home: The appliance cannot mount it (ext4 on vdb)" in outcome.sentence


def test_what_its_fstab_asks_for_must_be_on_some_disk() -> None:
    lacking = replace(WHOLE, systems=(ROOT,), lacking={"/home": "LABEL=files"})
    assert found(lacking, "File system /home").passed is False
    out = replace(DISKS[1], why_absent="anna took it out: scratch", chosen=True)
    seen = replace(SEEN, disks=(DISKS[0], out))
    assert found(lacking, "File system /home", seen).passed is None


@pytest.mark.parametrize(
    ("system", "passed", "whole"),
    [
        (GuestFileSystem("vdb", "swap"), True, True),
        (GuestFileSystem("vdb", "unknown"), None, True),
        (GuestFileSystem("vdb", "crypto_LUKS"), None, None),
    ],
)
def test_content_without_files_is_said(
    system: GuestFileSystem, passed: bool | None, whole: bool | None
) -> None:
    insides = with_home(system)
    assert found(insides, "Content of vdb").passed is passed
    assert judge(replace(SEEN, insides=insides)).passed is whole


def test_what_the_appliance_cannot_read_proves_nothing() -> None:
    foreign = with_home(replace(HOME, type="bcachefs", hidden="its kernel knows no bcachefs"))
    assert found(foreign, "File system /home").passed is None
    assert judge(replace(SEEN, insides=foreign)).passed is None
    rootless = replace(WHOLE, systems=(HOME,))  # a pool of ZFS is in no list of file systems
    assert judge(replace(SEEN, insides=rootless)).passed is None


def test_disks_without_any_file_system_prove_nothing() -> None:
    bare = replace(WHOLE, systems=(), trees={})
    assert judge(replace(SEEN, insides=bare)).passed is None


@pytest.mark.parametrize(
    "disks", [WHOLE.disks[:1], (WHOLE.disks[0], GuestDisk("vdb", 4 * MIB, ""))]
)
def test_a_disk_that_is_missing_or_too_small_fails(disks: tuple[GuestDisk, ...]) -> None:
    assert judge(replace(SEEN, insides=replace(WHOLE, disks=disks))).passed is False


def test_an_empty_home_fails_and_counts_are_held_against_the_running_vm() -> None:
    empty = replace(WHOLE, trees={**WHOLE.trees, "/home": Tree(0, 0, 0, 0)})
    assert found(empty, "Files in /home").passed is False
    mounts = (GuestMount("/", "/dev/vda1", "ext4"), GuestMount("/home", "/dev/vdb", "ext4"))
    live = Guest((), mounts, trees={"/home": Tree(300, 9, 300, 9)})
    assert found(WHOLE, "Files in /home", replace(SEEN, live=live)).passed is False


def test_without_an_appliance_it_stays_not_proven() -> None:
    outcome = judge(replace(SEEN, insides=None, why_no_insides="beta lacks it."))
    assert outcome.passed is None
    assert Check("A look from outside", None, "beta lacks it.") in outcome.checks
