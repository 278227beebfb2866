"""Does a file system take writes? One case for each way in which kernels say it."""

from typing import Any

import pytest

from hosts.rules.file_systems import Counters, Mount, Probe, Seen, advice, judge, options_of

ERROR_AT = 1_795_000_000
PLACE = "/srv/images"


def mount(*options: str, fstype: str = "ext4") -> Mount:
    return Mount(PLACE, "/dev/sdb1", fstype, frozenset(options or ("rw",)))


def probe(outcome: str, error: str = "") -> tuple[Probe, ...]:
    return (Probe(PLACE, outcome, error),)


def errors(count: int = 1, first: int = ERROR_AT, last: int = ERROR_AT) -> Counters:
    return Counters(count, first, last, "ext4_find_entry", 2)


OK, REFUSED = probe("ok"), probe("read-only", "EROFS")
CASES: list[tuple[str, Seen, str, str]] = [
    ("all is well", Seen(mount(), Counters(), OK), "good", "writes to /srv/images"),
    ("no images on it", Seen(mount(), Counters()), "good", "has /srv/images without errors"),
    (
        "before 6.1.115 the kernel shows ro",
        Seen(mount("ro", "errors=remount-ro"), errors(), REFUSED),
        "bad",
        "cannot write to /srv/images",
    ),
    (
        "6.1.115 to 6.14 show nothing: the probe tells",
        Seen(mount("rw", "errors=remount-ro"), errors(), REFUSED),
        "bad",
        "cannot write to /srv/images",
    ),
    (
        "from 6.15 on there is emergency_ro; nobody probed",
        Seen(mount("rw", "errors=remount-ro", "emergency_ro"), errors()),
        "bad",
        "cannot write to /srv/images",
    ),
    (
        "xfs after a shutdown: rw, and EIO",
        Seen(mount("rw", fstype="xfs"), None, probe("io-error", "EIO")),
        "bad",
        "gets I/O errors when it writes to /srv/images",
    ),
    (
        "btrfs forced read-only",
        Seen(mount("ro", fstype="btrfs"), None, (), was_writable=True),
        "bad",
        "cannot write to /srv/images",
    ),
    (
        "a hung disk",
        Seen(mount(), Counters(), probe("timeout")),
        "bad",
        "waits without end when it writes to /srv/images",
    ),
    ("full", Seen(mount(), Counters(), probe("full", "ENOSPC")), "bad", "has no room left on"),
    ("rot", Seen(mount(), Counters(), probe("mismatch")), "bad", "reads back something else"),
    (
        "healed by a remount, never checked",
        Seen(mount(), errors(3), OK),
        "watch",
        "has recorded 3 errors on /srv/images",
    ),
    ("one old error", Seen(mount(), errors(1), OK), "watch", "has recorded 1 error on"),
    ("the folder is gone", Seen(mount(), Counters(), probe("missing")), "watch", "has no folder"),
    (
        "we may not write there: no verdict",
        Seen(mount(), Counters(), probe("denied", "EACCES")),
        "unknown",
        "could not be asked",
    ),
    ("a CD", Seen(mount("ro", fstype="iso9660"), None, (), was_writable=True), "good", "has"),
    ("a snap", Seen(mount("ro", fstype="squashfs")), "good", "has"),
    ("read-only by its owner", Seen(mount("ro"), Counters()), "good", "has"),
    (
        "read-only by its owner, but images lie on it",
        Seen(mount("ro"), Counters(), REFUSED),
        "bad",
        "cannot write to",
    ),
]


@pytest.mark.parametrize(
    ("seen", "level", "reason"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_verdict(seen: Seen, level: str, reason: str) -> None:
    verdict = judge(seen)
    assert verdict.level == level
    assert verdict.reason.startswith(reason)


def items(seen: Seen) -> dict[str, Any]:
    rows = judge(seen).evidence["items"]
    assert isinstance(rows, list)
    return {row["what"]: row for row in rows}


def test_every_piece_of_evidence_is_kept_with_its_time() -> None:
    found = items(Seen(mount("rw", "emergency_ro"), errors(2, last=ERROR_AT + 60), REFUSED))
    assert found["mount options"]["value"] == "emergency_ro, rw"
    assert (found["ext4 errors"]["value"], found["ext4 errors"]["since"]) == (2, ERROR_AT)
    assert found["first error in"]["value"] == "ext4_find_entry"
    assert found["first error's kind"]["value"] == "the device answered with an I/O error"
    assert found["last error"]["since"] == ERROR_AT + 60
    assert found["write probe in /srv/images"]["value"] == "read-only EROFS"


def test_since_is_the_kernels_own_time() -> None:
    assert judge(Seen(mount("emergency_ro"), errors())).evidence["since"] == ERROR_AT


def test_an_error_before_the_last_good_write_is_an_older_story() -> None:
    old = ERROR_AT - 90 * 86400
    seen = Seen(
        mount("emergency_ro"), errors(2, old, ERROR_AT), REFUSED, good_until=ERROR_AT - 20.0
    )
    assert judge(seen).evidence["since"] == ERROR_AT


def test_without_a_counter_nobody_knows_since_when() -> None:
    assert judge(Seen(mount(), None, probe("io-error"))).evidence["since"] is None


def test_the_worst_probe_counts() -> None:
    both = (Probe(PLACE, "ok"), Probe(f"{PLACE}/more", "io-error", "EIO"))
    assert judge(Seen(mount(), Counters(), both)).level == "bad"


def test_advice_names_the_place_and_the_check_of_its_kind() -> None:
    assert "`e2fsck -f /dev/sdb1`" in advice("read-only", mount())
    assert "`xfs_repair /dev/sdb1`" in advice("read-only", mount(fstype="xfs"))
    assert PLACE in advice("full", mount())


def test_options_are_words() -> None:
    assert options_of("rw,noatime", "ro,errors=remount-ro,") == {
        "rw",
        "noatime",
        "ro",
        "errors=remount-ro",
    }
