"""Is a drive failing? Cases of our own; recordings of real drives where they are at hand."""

import csv
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from hosts.rules.health.drives import judge, remedy
from labpanel.adapters.drives import smart, smart_json
from labpanel.lib.drives import Attribute, DriveReading, SelfTest
from labpanel.symptoms.facts.drives import DriveTrouble
from labpanel.symptoms.words import drives as words

RECORDINGS = Path(__file__).resolve().parents[2].parent / "shared" / "smart"
LEVELS = {"good": "healthy", "watch": "watch", "bad": "failing", "unknown": "unknown"}
GOOD_LONG = SelfTest("Extended offline", "passed", "Completed without error")
FAILED = SelfTest("Short offline", "failed", "Completed: read failure")


def drive(counts: dict[int, int] | None = None, **fields: Any) -> DriveReading:
    table = {
        number: Attribute(number, f"Attribute_{number}", 100, 10, raw)
        for number, raw in {5: 0, 187: 0, 197: 0, 198: 0, 199: 0, **(counts or {})}.items()
    }
    given = {"protocol": "ATA", "is_ssd": False, "passed": True, "attributes": table, **fields}
    return DriveReading("/dev/sda", **given)


def nvme(**fields: Any) -> DriveReading:
    return DriveReading(
        "/dev/nvme0", protocol="NVMe", passed=True, **{"critical_warning": 0, **fields}
    )


CASES: list[tuple[str, DriveReading, str, str]] = [
    ("nothing", drive(), "good", "nothing speaks against it"),
    ("pending sectors alone", drive({197: 3}), "watch", "3 sectors cannot be read (pending)"),
    ("one", drive({197: 1}), "watch", "1 sector cannot be read"),
    ("many pending", drive({197: 16}), "bad", "16 sectors"),
    ("many offline", drive({198: 16}), "bad", "16 sectors could not be read"),
    ("some replaced", drive({5: 99}), "watch", "99 sectors had to be replaced"),
    ("many replaced", drive({5: 100}), "bad", "100 sectors had to be replaced"),
    ("reported alone", drive({187: 2}), "watch", "it reported 2 uncorrectable errors"),
    ("reported, and bad sectors", drive({187: 2, 197: 1}), "bad", "it reported"),
    ("a packed raw field", drive({187: 30_818_849}), "good", "nothing"),
    ("the cable", drive({199: 3_271_196}), "watch", "3271196 transfers were damaged"),
    ("the cable, a little", drive({199: 7}), "good", "7 transfers"),
    ("it says so itself", drive(passed=False), "bad", "it says of itself"),
    ("test fails", drive(tests=(FAILED, GOOD_LONG)), "bad", "its own self-test fails"),
    ("an outdated failure", drive(tests=(GOOD_LONG, FAILED)), "good", "an old self-test"),
    (
        "an aborted test says nothing",
        drive(tests=(SelfTest("Short offline", "aborted", "Aborted by host"),)),
        "good",
        "nothing",
    ),
    (
        "a test without result",
        drive(tests=(SelfTest("Short offline", "fatal", "Fatal or unknown error"),)),
        "watch",
        "its self-test ended without a result",
    ),
    ("hot", drive(temperature=50), "watch", "it is hot: 50 °C"),
    ("warm", drive(temperature=49), "good", "nothing"),
    ("a sensor's nonsense", drive(temperature=255), "good", "nothing"),
    ("only the error log knows", drive(log_errors={"UNC": 4}), "watch", "its error log holds"),
    (
        "an MX500 in good health",
        drive({197: 1}, is_ssd=True, model="CT500MX500SSD1"),
        "good",
        "1 pending",
    ),
    ("an SSD replaces blocks", drive({5: 9}, is_ssd=True), "good", "nothing"),
    ("an SSD replaces many", drive({5: 10}, is_ssd=True), "watch", "10 blocks"),
    (
        "an SSD that tells its wear alone",
        DriveReading("/dev/sda", protocol="ATA", is_ssd=True, passed=True, endurance_used=3),
        "good",
        "it gives no counts of errors",
    ),
    (
        "a disk that counts no pending sectors",
        DriveReading(
            "/dev/sda",
            protocol="ATA",
            is_ssd=False,
            passed=True,
            attributes={5: Attribute(5, "Reallocated_Sector_Ct", 100, 10, 0)},
        ),
        "good",
        "it gives no count of sectors that cannot be read",
    ),
    (
        "its own verdict alone",
        DriveReading("/dev/sda", protocol="ATA", passed=True),
        "unknown",
        "nothing is known beyond its own verdict",
    ),
    (
        "a SATA drive that a controller answers for",
        DriveReading("/dev/sda", protocol="SCSI", vendor="ATA", passed=True, grown_defects=0),
        "unknown",
        "the controller answers in its place",
    ),
    (
        "a worn SAS SSD",
        DriveReading("/dev/sda", protocol="SCSI", endurance_used=104),
        "watch",
        "104 %",
    ),
    ("spare used up", nvme(critical_warning=0b1), "bad", "its spare blocks are used up"),
    ("hot NVMe", nvme(critical_warning=0b10), "watch", "it is too hot"),
    ("degraded", nvme(critical_warning=0b100), "bad", "it calls its own reliability degraded"),
    ("read-only NVMe", nvme(critical_warning=0b1000), "bad", "it takes no more writes"),
    ("worn", nvme(endurance_used=106), "watch", "106 % of its rated endurance"),
    ("media errors", nvme(media_errors=1), "watch", "it met 1 error"),
    (
        "grown defects",
        DriveReading("/dev/sda", protocol="SCSI", passed=True, grown_defects=50),
        "bad",
        "it has 50 defects",
    ),
    (
        "asleep",
        DriveReading("/dev/sda", state="standby", why="the drive sleeps"),
        "unknown",
        "the drive",
    ),
    (
        "no answer",
        DriveReading("/dev/sda", state="no-data", why="no such device"),
        "unknown",
        "no such",
    ),
    (
        "an empty answer",
        DriveReading("/dev/sda", protocol="ATA"),
        "unknown",
        "it gives no SMART data",
    ),
]


@pytest.mark.parametrize(
    ("found", "level", "reason"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_verdict(found: DriveReading, level: str, reason: str) -> None:
    verdict = judge(found)
    said = words.reason(verdict.signs)
    assert (verdict.level, said[: len(reason)]) == (level, reason)


def test_absent_is_not_zero() -> None:
    missing = DriveReading("/dev/sda", protocol="ATA", passed=True)
    assert [row.what for row in judge(missing).evidence] == ["its own verdict"]


def test_evidence_and_reason_name_the_count() -> None:
    row = judge(drive({197: 3})).evidence[3]
    assert (row.what, row.value) == ("pending sectors (197)", 3)


def test_advice_differs_by_cause() -> None:
    pending, cable, dead = drive({197: 3}), drive({199: 500}), drive(passed=False)
    assert "self-test" in advice(pending)
    assert "cable" in advice(cable)
    assert "Take the VMs off" in advice(dead)


def advice(one: DriveReading) -> str:
    judged = judge(one)
    facts = DriveTrouble(
        "alpha",
        "/dev/sda",
        "",
        judged.level == "bad",
        judged.signs,
        remedy(judged, one),
        one.device,
    )
    return words.drive(facts).advice


def recorded(row: dict[str, str]) -> DriveReading | None:
    """A recording as the adapter would settle its two readings."""
    path = RECORDINGS / row["file"]
    kind = "nvme" if row["kind"] == "nvme" else "sat"
    beside = RECORDINGS / "derived-json" / f"{path.stem}.derived.json"
    twin = path if path.suffix == ".json" else beside
    by_json = smart_json.parse(twin.read_text(), "/dev/sda", "", 0) if twin.exists() else None
    if path.suffix == ".json":
        return by_json
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    try:
        by_text = smart.by_pysmart(lambda _: (lines, 0), "/dev/sda", kind, [])
    except (ValueError, IndexError):  # its table is of the kind that pySMART cannot read
        by_text = None
    return smart.settle(by_json, by_text) if by_json else by_text


def test_recordings_of_real_drives_are_judged_as_labelled() -> None:
    if not RECORDINGS.is_dir():
        pytest.skip("no recordings of real drives beside this checkout")
    with (RECORDINGS / "index.tsv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    met: Counter[tuple[str, str]] = Counter()
    for row in rows:
        found = recorded(row)
        met[row["verdict"], LEVELS[judge(found).level] if found else "unknown"] += 1
    right = sum(count for (label, said), count in met.items() if label == said)
    assert right / len(rows) > 0.95, met
    assert met["failing", "healthy"] == 0
    assert met["failing", "unknown"] == 0
