"""Does a file system take writes? One case for each way in which kernels say it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from hosts.rules.health.file_systems import (
    ErrorCounters,
    FileSystemLook,
    JudgedFileSystem,
    MountState,
    Probe,
    is_slow,
    judge,
    options_of,
)
from labpanel.symptoms.symptom import Evidence
from labpanel.symptoms.words import file_systems as words

ERROR_AT = 1_795_000_000
NOW = datetime.fromtimestamp(ERROR_AT, UTC)
PLACE = "/srv/images"


def mount(*options: str, fstype: str = "ext4") -> MountState:
    return MountState(PLACE, "/dev/sdb1", fstype, frozenset(options or ("rw",)))


def probe(outcome: str, error: str = "") -> tuple[Probe, ...]:
    return (Probe(PLACE, outcome, error),)


def errors(count: int = 1, first: int = ERROR_AT, last: int = ERROR_AT) -> ErrorCounters:
    return ErrorCounters(count, first, last, "ext4_find_entry", 2)


OK, REFUSED = probe("ok"), probe("read-only", "EROFS")
CASES: list[tuple[str, FileSystemLook, str, str]] = [
    ("all is well", FileSystemLook(mount(), ErrorCounters(), OK), "good", ""),
    ("no images on it", FileSystemLook(mount(), ErrorCounters()), "good", ""),
    (
        "before 6.1.115 the kernel shows ro",
        FileSystemLook(mount("ro", "errors=remount-ro"), errors(), REFUSED),
        "bad",
        "cannot write to /srv/images",
    ),
    (
        "6.1.115 to 6.14 show nothing: the probe tells",
        FileSystemLook(mount("rw", "errors=remount-ro"), errors(), REFUSED),
        "bad",
        "cannot write to /srv/images",
    ),
    (
        "from 6.15 on there is emergency_ro; not probed",
        FileSystemLook(mount("rw", "errors=remount-ro", "emergency_ro"), errors()),
        "bad",
        "cannot write to /srv/images",
    ),
    (
        "xfs after a shutdown: rw, and EIO",
        FileSystemLook(mount("rw", fstype="xfs"), None, probe("io-error", "EIO")),
        "bad",
        "gets I/O errors when it writes to /srv/images",
    ),
    (
        "btrfs forced read-only",
        FileSystemLook(mount("ro", fstype="btrfs"), None, (), was_writable=True),
        "bad",
        "cannot write to /srv/images",
    ),
    (
        "a hung disk",
        FileSystemLook(mount(), ErrorCounters(), probe("timeout")),
        "bad",
        "gets no answer when it writes to /srv/images",
    ),
    (
        "full",
        FileSystemLook(mount(), ErrorCounters(), probe("full", "ENOSPC")),
        "bad",
        "has no room left on",
    ),
    (
        "rot",
        FileSystemLook(mount(), ErrorCounters(), probe("mismatch")),
        "bad",
        "reads back something else",
    ),
    (
        "healed by a remount, never checked",
        FileSystemLook(mount(), errors(3), OK),
        "watch",
        "has recorded 3 errors on /srv/images",
    ),
    ("one old error", FileSystemLook(mount(), errors(1), OK), "watch", "has recorded 1 error on"),
    (
        "the folder is gone",
        FileSystemLook(mount(), ErrorCounters(), probe("missing")),
        "watch",
        "has no folder",
    ),
    (
        "we may not write there: no verdict",
        FileSystemLook(mount(), ErrorCounters(), probe("denied", "EACCES")),
        "unknown",
        "",
    ),
    (
        "a CD",
        FileSystemLook(mount("ro", fstype="iso9660"), None, (), was_writable=True),
        "good",
        "",
    ),
    ("a snap", FileSystemLook(mount("ro", fstype="squashfs")), "good", ""),
    ("read-only by its owner", FileSystemLook(mount("ro"), ErrorCounters()), "good", ""),
    (
        "read-only by its owner, but images lie on it",
        FileSystemLook(mount("ro"), ErrorCounters(), REFUSED),
        "bad",
        "cannot write to",
    ),
]


def slow(seconds: float, minutes: float) -> FileSystemLook:
    return FileSystemLook(
        mount(), ErrorCounters(), (Probe(PLACE, "ok", seconds=seconds),), slow_for=60 * minutes,
        slow_since=float(ERROR_AT),
    )  # fmt: skip


CASES += [
    ("slow for minutes", slow(1.6, 4), "watch", "needs more than 1 s to write one block to /srv"),
    ("slower", slow(11.0, 4), "watch", "needs more than 5 s to write one block to"),
    ("less slow than it was", slow(0.5, 4), "watch", "needs more than 0.4 s to write"),
    ("slow just now", slow(1.6, 1), "good", ""),
    (
        "slow, and then dead",
        replace(slow(1.6, 9), probes=probe("timeout")),
        "bad",
        "gets no answer",
    ),
    (
        "slow, with an old error",
        replace(slow(3, 9), counters=errors(1)),
        "watch",
        "needs more than 2",
    ),
    (
        "there was no time",
        FileSystemLook(mount(), ErrorCounters(), probe("not-reached")),
        "unknown",
        "",
    ),
]


@pytest.mark.parametrize(
    ("times", "before", "found"),
    [
        ((1.2,), False, True),
        ((0.9,), False, False),
        ((0.5,), True, True),
        ((0.1,), True, False),
        ((4.0, 0.01), False, False),  # one folder answers at once: the disk is not slow
        ((4.0, 2.0, 3.0), False, True),
        ((), False, False),
        ((None,), False, False),
    ],
)
def test_slow_is_what_even_the_quickest_write_was(
    times: tuple[float | None, ...], before: bool, found: bool
) -> None:
    probes = [Probe(PLACE, "ok", seconds=each) for each in times]
    assert is_slow(probes, before=before) == found


def test_a_probe_that_failed_says_nothing_of_speed() -> None:
    assert not is_slow([Probe(PLACE, "timeout", seconds=12.0)], before=True)


def test_slow_is_told_with_its_figures_and_since_when() -> None:
    assert judge(slow(1.64, 4), "alpha").since == ERROR_AT
    found = items(slow(1.64, 4))
    assert found["write probe in /srv/images"].value == "ok in 1.6 s"
    assert "SMART" in advice(slow(1.64, 4))


@pytest.mark.parametrize(
    ("seen", "level", "reason"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_verdict(seen: FileSystemLook, level: str, reason: str) -> None:
    verdict = judge(seen, "alpha")
    assert verdict.level == level
    assert headline(verdict).startswith(f"alpha {reason}" if reason else "nothing")


def headline(judged: JudgedFileSystem) -> str:
    """Without its time; "nothing" where there is no trouble to speak of."""
    return words.file_system(judged.trouble, NOW).headline if judged.trouble else "nothing"


def advice(seen: FileSystemLook) -> str:
    trouble = judge(seen, "alpha").trouble
    assert trouble is not None
    return words.file_system(trouble, NOW).advice


def items(seen: FileSystemLook) -> dict[str, Evidence]:
    return {row.what: row for row in judge(seen, "alpha").evidence}


def test_every_piece_of_evidence_is_kept_with_its_time() -> None:
    found = items(
        FileSystemLook(mount("rw", "emergency_ro"), errors(2, last=ERROR_AT + 60), REFUSED)
    )
    at = datetime.fromtimestamp(ERROR_AT, UTC)
    assert found["mount options"].value == "emergency_ro, rw"
    assert (found["ext4 errors"].value, found["ext4 errors"].since) == (2, at)
    assert found["first error in"].value == "ext4_find_entry"
    assert found["first error's kind"].value == "the device answered with an I/O error"
    assert found["last error"].since == at + timedelta(seconds=60)
    assert found["write probe in /srv/images"].value == "read-only EROFS"


def test_since_is_the_kernels_own_time() -> None:
    assert judge(FileSystemLook(mount("emergency_ro"), errors()), "alpha").since == ERROR_AT


def test_an_error_before_the_last_good_write_is_an_older_story() -> None:
    old = ERROR_AT - 90 * 86400
    seen = FileSystemLook(
        mount("emergency_ro"), errors(2, old, ERROR_AT), REFUSED, good_until=ERROR_AT - 20.0
    )
    assert judge(seen, "alpha").since == ERROR_AT


def test_without_a_counter_nobody_knows_since_when() -> None:
    assert judge(FileSystemLook(mount(), None, probe("io-error")), "alpha").since is None


def test_the_worst_probe_counts() -> None:
    both = (Probe(PLACE, "ok"), Probe(f"{PLACE}/more", "io-error", "EIO"))
    assert judge(FileSystemLook(mount(), ErrorCounters(), both), "alpha").level == "bad"


def test_advice_names_the_place_and_the_check_of_its_kind() -> None:
    assert "`e2fsck -f /dev/sdb1`" in advice(FileSystemLook(mount("emergency_ro")))
    assert "`xfs_repair /dev/sdb1`" in advice(FileSystemLook(mount("shutdown", fstype="xfs")))
    assert PLACE in advice(FileSystemLook(mount(), probes=probe("full")))


def test_options_are_words() -> None:
    assert options_of("rw,noatime", "ro,errors=remount-ro,") == {
        "rw",
        "noatime",
        "ro",
        "errors=remount-ro",
    }
