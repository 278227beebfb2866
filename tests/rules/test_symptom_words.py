"""Each kind of symptom, in words: one case for each way in which it is said."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from labpanel.lib.io_fault import Access
from labpanel.symptoms.declared import DECLARED, Facts, kind_of
from labpanel.symptoms.facts.copies import (
    CorruptImage,
    FailedBackup,
    FailedRehearsal,
    ImageFault,
    StoreFault,
)
from labpanel.symptoms.facts.drives import (
    DriveSign,
    DriveTrouble,
    Remedy,
    Sign,
    Unread,
    UnreadDrives,
)
from labpanel.symptoms.facts.file_systems import (
    Cause,
    FileSystemTrouble,
    Little,
    LittleRoom,
    LittleStoreRoom,
    Shortage,
    UnreadableBlocks,
)
from labpanel.symptoms.facts.hosts import (
    FailedCheck,
    OddAnswers,
    SameMachine,
    SilentHost,
    SilentLibvirt,
)
from labpanel.symptoms.facts.vms import (
    Crash,
    OnTwoHosts,
    Pause,
    VmCrashed,
    VmGone,
    VmOff,
    VmPaused,
    VmRestarts,
)
from labpanel.symptoms.kinds import Kind
from labpanel.symptoms.stored import facts_as_json, parse_facts
from labpanel.symptoms.words import drives
from labpanel.symptoms.words.of_facts import wording

AT = datetime(2026, 11, 27, 2, 14, tzinfo=UTC)
NOW = AT + timedelta(hours=1)
SPANS = ((0, 4096),)
HELD = "Nothing of home and web is pruned until you release it (`./panel release`). Look at"

# facts, headline, beginning of the advice
CASES: list[tuple[Facts, str, str]] = [
    (SilentHost("alpha", AT), "alpha does not answer since 02:14", "See whether it has power"),
    (
        SilentHost("alpha", AT, "alpha does not accept the panel's key. Add the line."),
        "alpha does not accept the panel's key (since 02:14)",
        "Add the line.",
    ),
    (
        SilentHost("alpha", AT, "Connection refused."),
        "Connection refused (since 02:14)",
        "See whether it has power and network. What its VMs do is unknown until it answers.",
    ),
    (
        SilentLibvirt("alpha", AT),
        "libvirt on alpha does not answer since 02:14",
        "The VMs may well go on running.",
    ),
    (
        FailedCheck("alpha", AT, hangs=True, error=""),
        "alpha answers, but its health check has failed since 02:14",
        "See whether commands hang on the host (`ps`, `journalctl -k`)",
    ),
    (
        FailedCheck("alpha", AT, hangs=False, error="python3 is not installed on alpha."),
        "alpha answers, but its health check has failed since 02:14",
        "python3 is not installed on alpha.",
    ),
    (OddAnswers("alpha", "Its name is odd.", 0), "Its name is odd.", "Everything else of alpha"),
    (
        OddAnswers("alpha", "Its name is odd.", 1),
        "Its name is odd. One more answer makes no sense.",
        "Everything else",
    ),
    (
        OddAnswers("alpha", "Its name is odd.", 3),
        "Its name is odd. 3 more answers make no sense.",
        "Everything else",
    ),
    (
        SameMachine("beta", "alpha"),
        "beta is the same machine as alpha",
        "A backup on beta does not outlive alpha",
    ),
    (
        FileSystemTrouble("alpha", "/srv", Cause.READ_ONLY, "/dev/sdb1", "xfs", since=AT),
        "alpha cannot write to /srv since 02:14",
        "Do not reboot or remount yet",
    ),
    (
        FileSystemTrouble("alpha", "/srv", Cause.IO_ERROR),
        "alpha gets I/O errors when it writes to /srv",
        "The drive below may be failing",
    ),
    (
        FileSystemTrouble("alpha", "/srv", Cause.TIMEOUT),
        "alpha gets no answer when it writes to /srv",
        "The drive or the path to it hangs.",
    ),
    (
        FileSystemTrouble("alpha", "/srv", Cause.MISMATCH),
        "alpha reads back something else than it wrote to /srv",
        "Do not trust anything written to /srv",
    ),
    (
        FileSystemTrouble("alpha", "/srv", Cause.FULL),
        "alpha has no room left on /srv",
        "Free some room on /srv",
    ),
    (
        FileSystemTrouble("alpha", "/srv", Cause.MISSING, folder="/srv/a"),
        "alpha has no folder /srv/a, where images should lie",
        "See whether the file system that held it is mounted.",
    ),
    (
        FileSystemTrouble("alpha", "/srv", Cause.SLOW, slower_than=0.4, since=AT),
        "alpha needs more than 0.4 s to write one block to /srv since 02:14",
        "A healthy disk takes some milliseconds",
    ),
    (
        FileSystemTrouble("alpha", "/srv", Cause.COUNTED, "/dev/sdb1", "ext4", errors=3),
        "alpha has recorded 3 errors on /srv",
        "It takes writes again, but the file system has not been checked since. Shut its VMs down, "
        "unmount /srv and run `e2fsck -f /dev/sdb1`",
    ),
    (
        FileSystemTrouble("alpha", "/srv", Cause.UNMOUNTED, since=AT),
        "alpha has /srv not mounted since 02:14",
        "Mount it again",
    ),
    (
        LittleRoom("alpha", "/srv", "/dev/sdb1", Little(Shortage.PERCENT, 7)),
        "alpha has little room on /srv: 7 % free",
        "Free some room on /srv (/dev/sdb1), or enlarge it",
    ),
    (
        LittleRoom("alpha", "/srv", "", Little(Shortage.GROWTH, 7, days=1)),
        "alpha has little room on /srv: 7 % free, less than its images may grow by, full in about "
        "1 day",
        "Free some room on /srv, or",
    ),
    (
        LittleRoom("alpha", "/srv", "", Little(Shortage.NO_FILES, 50)),
        "alpha has little room on /srv: almost no inodes are left for new files (50 % free)",
        "Free",
    ),
    (
        LittleRoom("alpha", "/srv", "", Little(Shortage.FEW_FILES, 50)),
        "alpha has little room on /srv: few inodes are left for new files (50 % free)",
        "Free",
    ),
    (
        LittleStoreRoom("beta", "far", "/srv/far", Little(Shortage.BACKUP, 20, 0, "home")),
        "beta has little room on the store far: 20 % free, too little for the next backup of home, "
        "full in about a day",
        "Free some room below /srv/far",
    ),
    (
        UnreadableBlocks("alpha", "/srv/a.raw", 0, 4095, ("home", "web")),
        "alpha cannot read bytes 0 to 4095 of /srv/a.raw (home, web)",
        "What was written there long ago is lost, though new writes may work. Do not copy or move "
        "the image as it is: bring home, web back",
    ),
    (
        UnreadableBlocks("alpha", "/srv/a.raw", 0, 4095, ()),
        "alpha cannot read bytes 0 to 4095 of /srv/a.raw (no VM)",
        "What",
    ),
    (
        DriveTrouble(
            "alpha", "/dev/sda", "WD", True, (DriveSign(Sign.PENDING, 320),), Remedy.REPLACE, ""
        ),
        "The drive /dev/sda (WD) of alpha is failing: 320 sectors cannot be read (pending)",
        "Take the VMs off this drive now",
    ),
    (
        DriveTrouble(
            "alpha",
            "/dev/sda",
            "",
            False,
            (DriveSign(Sign.PENDING, 1), DriveSign(Sign.REPORTED, 1)),
            Remedy.PENDING,
            "/dev/bus/0",
        ),
        "The drive /dev/sda of alpha needs watching: 1 sector cannot be read (pending); it "
        "reported 1 error that it could not correct",
        "Pending sectors are places that the drive could not read; what lay there is lost unless a "
        "copy exists. See that the VMs on it are backed up and verified, run a long self-test "
        "(`smartctl -t long /dev/bus/0`)",
    ),
    (
        UnreadDrives("alpha", error="smartctl is not installed on alpha."),
        "The health of the drives of alpha cannot be read: smartctl is not installed on alpha.",
        "Until it can be read",
    ),
    (
        UnreadDrives("alpha", drives=(Unread("/dev/sda"),)),
        "The health of the drive /dev/sda of alpha cannot be read: smartctl does not list it",
        "Until",
    ),
    (
        UnreadDrives("alpha", drives=(Unread("/dev/sda"), Unread("/dev/sdb"))),
        "The health of 2 drives of alpha (/dev/sda and /dev/sdb) cannot be read: smartctl does not "
        "list it",
        "Until",
    ),
    (
        UnreadDrives(
            "alpha",
            drives=(Unread("/dev/sda"), Unread("/dev/sdb", (DriveSign(Sign.SAID, name="hangs"),))),
        ),
        "The health of 2 drives of alpha cannot be read: /dev/sda: smartctl does not list it; "
        "/dev/sdb: hangs",
        "Until",
    ),
    (VmCrashed("home", "alpha", Crash.CRASHED, AT), "home crashed on alpha at 02:14", "Its QEMU"),
    (
        VmCrashed("home", "alpha", Crash.FAILED, AT),
        "home could not be started on alpha at 02:14",
        "Start home from here: the job says why libvirt refuses. So does its log on alpha (in "
        "/var/log/libvirt/qemu).",
    ),
    (
        VmCrashed("home", "alpha", Crash.DAEMON, AT),
        "libvirt on alpha could not connect to home again and switched it off at 02:14",
        "Start home, and read its log on alpha",
    ),
    (
        VmCrashed("home", "alpha", Crash.PANICKED, AT),
        "The kernel of home's guest panicked on alpha at 02:14",
        "Look at the screen of home",
    ),
    (
        VmPaused("home", "alpha", Pause.NO_SPACE, ("vda",), AT),
        "home is paused on alpha: its disk vda found no room to write, since 02:14",
        "Make room on the file system that holds the image of vda. Then resume home",
    ),
    (
        VmPaused("home", "alpha", Pause.NO_SPACE, ("vda", "vdb"), AT),
        "home is paused on alpha: its disks vda and vdb found no room to write, since 02:14",
        "Make room on the file system that holds their images. Then resume home",
    ),
    (
        VmPaused("home", "alpha", Pause.DISK_ERROR, ("vdb",), AT),
        "home is paused on alpha: its disk vdb cannot be read or written, since 02:14",
        "See what is wrong with the drive below and mend it. Then resume home",
    ),
    (
        VmPaused("home", "alpha", Pause.UNKNOWN_DISK, (), AT),
        "home is paused on alpha: a disk of it could not be read or written, since 02:14",
        "See whether the file system of its images is full or takes no writes",
    ),
    (
        VmPaused("home", "alpha", Pause.WATCHDOG, (), AT),
        "home was paused on alpha by its watchdog, as its guest hangs, at 02:14",
        "Look at its log on alpha (in /var/log/libvirt/qemu), then resume home",
    ),
    (
        VmPaused("home", "alpha", Pause.POSTCOPY, (), AT),
        "home is paused on alpha, as a migration of it broke, since 02:14",
        "Look at its log",
    ),
    (
        VmPaused("home", "alpha", Pause.API_ERROR, (), AT),
        "home is paused on alpha, as libvirt could not let it go on, since 02:14",
        "Look at its log",
    ),
    (
        VmOff("home", "alpha", True, False, AT),
        "home ran before alpha was restarted and is off since 02:14",
        "Start home when alpha is well. To have it start with its host, set its autostart.",
    ),
    (
        VmOff("home", "alpha", False, True, AT),
        "home ran on alpha and is off, libvirt does not know why, since 02:14",
        "libvirt, or all of alpha, was restarted meanwhile.",
    ),
    (
        VmGone("home", "alpha", True, AT),
        "home is gone from libvirt on alpha, and the panel did not remove it, since 02:14",
        "Its images may still lie on alpha. If it was removed on purpose",
    ),
    (
        VmGone("home", "alpha", False, AT),
        "home is gone from libvirt on alpha, and the panel did not remove it, since 02:14",
        "Its images may still lie on alpha. home was transient: libvirt forgets such a VM",
    ),
    (
        VmRestarts("home", "alpha", 3, 10, AT),
        "home on alpha restarts again and again: 3 times within 10 minutes, last at 02:14",
        "Look at the screen of home and at its log on alpha",
    ),
    (
        OnTwoHosts("home", "alpha", "beta"),
        "Two hosts have the VM home: alpha and beta.",
        "home stays with alpha, and is neither backed up nor pruned",
    ),
    (
        CorruptImage("home", "vda", ("/srv/a", "/srv/b")),
        "QEMU has marked the image of vda of home as corrupt (/srv/a, /srv/b). A backup holds what "
        "could be read.",
        "QEMU does not write to such an image any more.",
    ),
    (
        ImageFault("alpha", Access.READ, "/srv/a.raw", "vda of home", SPANS, ("home", "web"), AT),
        "alpha could not read bytes 0–4095 of /srv/a.raw (vda of home), at 02:14",
        f"{HELD} the drive below it now. A move would carry the damage along",
    ),
    (
        ImageFault("alpha", Access.WRITE, "", "vda of home", (), (), AT),
        "alpha could not write an image (vda of home), at 02:14",
        "Look at the drive and the file system below it now: what is written may be lost.",
    ),
    (
        StoreFault("far", "/srv on beta", Access.UNKNOWN, "", (), ("home", "web"), AT),
        "The store far (/srv on beta) could not work on a file, at 02:14",
        f"{HELD} the drive below the store now",
    ),
    (
        StoreFault("far", "/srv on beta", Access.READ, "k/vda.qcow2", SPANS, (), AT),
        "The store far (/srv on beta) could not read bytes 0–4095 of k/vda.qcow2, at 02:14",
        "Look at the drive below the store now",
    ),
    (
        FailedBackup("home", "far", "The store far is full."),
        "home was not backed up to far: The store far is full",
        "Until a backup succeeds",
    ),
    (
        FailedRehearsal("home", "far", "It did not boot."),
        "home was not rehearsed from far: It did not boot",
        "Until a rehearsal passes",
    ),
]


@pytest.mark.parametrize(("facts", "headline", "advice"), CASES)
def test_said(facts: Facts, headline: str, advice: str) -> None:
    found = wording(facts, NOW)
    assert found.headline == headline
    assert found.advice.startswith(advice)
    assert "{" not in found.headline + found.advice


@pytest.mark.parametrize("facts", [case[0] for case in CASES])
def test_kept_and_read_back(facts: Facts) -> None:
    assert parse_facts(kind_of(facts), facts_as_json(facts)) == facts


def test_every_kind_has_a_case_and_every_word_of_a_list_words() -> None:
    assert {kind_of(facts) for facts, _, _ in CASES} == set(Kind) == set(DECLARED)
    for sign in Sign:
        assert drives.reason([DriveSign(sign, 2, "Spin Retry")])
    for cause in Cause:
        assert wording(FileSystemTrouble("alpha", "/srv", cause), NOW).advice
    for remedy in Remedy:
        assert wording(DriveTrouble("alpha", "a", "", True, (), remedy, "a"), NOW).advice


def test_another_day_is_said_with_its_date_in_the_zone_of_the_reader() -> None:
    there = timezone(timedelta(hours=5, minutes=30))
    assert wording(SilentHost("alpha", AT), NOW.astimezone(there)).headline.endswith("since 07:44")
    tomorrow = NOW + timedelta(days=1)
    assert wording(SilentHost("alpha", AT), tomorrow).headline.endswith("since 2026-11-27 02:14")


@pytest.mark.parametrize(
    ("kind", "stored"),
    [
        ("drive", None),
        ("of a newer panel", {}),
        ("vm-gone", {"vm": "home"}),
        ("same-machine", {"host": "beta", "first": 3}),
        ("file-system", {"host": "a", "mount_point": "/", "cause": "unheard of"}),
        ("vm-crashed", {"vm": "a", "host": "b", "how": "crashed", "since": "yesterday"}),
        ("vm-crashed", {"vm": "a", "host": "b", "how": "crashed", "since": "2026-11-27T02:14"}),
    ],
)
def test_facts_that_do_not_fit_their_kind_are_not_guessed_at(kind: str, stored: object) -> None:
    assert parse_facts(kind, stored) is None
