"""Is a drive failing? From what it says of itself, with the overall "PASSED" as the least of it.

Thresholds were set against some 90 000 published reports of real drives. There, 97 % of hard
disks with unreadable ("pending") sectors and 93 % of those whose own self-test fails call
themselves PASSED; so counts and self-tests decide. Left out on purpose, because they cry wolf:
command time-outs (188: three numbers packed into one), raw read and seek rates (1, 7), and NVMe's
count of error log entries (40 % of good drives have some).
"""

from dataclasses import dataclass, field

from labpanel.lib.drives import Drive, SelfTest
from labpanel.lib.shapes import Verdict

REALLOCATED, SPIN_RETRY, END_TO_END = 5, 10, 184
REPORTED, PENDING, OFFLINE, CRC = 187, 197, 198, 199
# Vendors pack other things into the raw field (an Intel 520 shows 187 = 30 818 849).
IMPLAUSIBLE = 1_000_000
# 16 sectors = two of 4 KiB. Annual failure rates of such populations lie near 100 % from there
# on; with 1 to 8 it is about one in two (Backblaze's numbers, as Scrutiny publishes them).
MANY_UNREADABLE = 16
MANY_REALLOCATED = 100
MANY_REALLOCATED_SSD = 10  # replacing blocks is an SSD's daily work: a few say nothing
MANY_CRC = 100
MANY_GROWN_DEFECTS = 50  # SCSI
WORN_PERCENT = 90
# °C. The hottest 1 % of hard disks, SATA SSDs and NVMe drives in those reports.
HOT = {"hdd": 50, "ssd": 65, "nvme": 75, "scsi": 60}
# Temperature and wear attributes: below their threshold a drive is hot or worn, not broken.
WEAR_ATTRIBUTES = {173, 177, 190, 194, 202, 231, 233}
# Bits of NVMe's critical warning (NVM Express base specification, log page 02h).
NVME_FAILING = {
    0: "its spare blocks are used up",
    2: "it calls its own reliability degraded",
    3: "it takes no more writes",
}
NVME_WATCH = {1: "it is too hot or too cold", 4: "its power-loss protection failed"}


@dataclass(slots=True)
class _Case:
    """What speaks against a drive, and what was noted."""

    failing: list[str] = field(default_factory=list)
    watch: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def count(self, number: int | None, limit: int, text: str) -> None:
        """Some are to be watched, `limit` of them are a failing drive."""
        if number:
            (self.failing if number >= limit else self.watch).append(text)


def judge(drive: Drive) -> Verdict:
    """good, watch, bad (failing) or unknown, with the reasons in words, worst first."""
    items = evidence(drive)
    if drive.state != "read":
        return Verdict("unknown", drive.why or "it gives no data", {"items": items})
    numbers = (drive.passed, drive.critical_warning, drive.grown_defects, drive.uncorrected)
    if not drive.attributes and all(number is None for number in numbers):
        return Verdict("unknown", "it gives no SMART data", {"items": items})
    case = _Case()
    if drive.passed is False:
        case.failing.append("it says of itself that it is failing")
    _attributes_at_threshold(drive, case)
    _self_tests(drive.tests, case)
    if drive.protocol == "NVMe":
        _nvme(drive, case)
    elif drive.protocol == "SCSI":
        _scsi(drive, case)
    elif drive.is_ssd:
        _ata_ssd(drive, case)
    else:
        _hard_disk(drive, case)
    _heat(drive, case)
    return _verdict(case, items)


def _verdict(case: _Case, items: list[dict[str, object]]) -> Verdict:
    found: dict[str, object] = {"items": items, "notes": case.notes}
    if case.failing:
        return Verdict("bad", "; ".join(case.failing + case.watch), found)
    if case.watch:
        return Verdict("watch", "; ".join(case.watch), found)
    return Verdict("good", "; ".join(case.notes) or "nothing speaks against it", found)


def _attributes_at_threshold(drive: Drive, case: _Case) -> None:
    for attribute in drive.attributes.values():
        name = attribute.name.replace("_", " ")
        worn = attribute.number in WEAR_ATTRIBUTES
        if attribute.when_failed == "now":
            text = f"{name} is at the maker's threshold"
            (case.watch if worn else case.failing).append(text)
        elif attribute.when_failed == "past" and attribute.number in {190, 194}:
            case.notes.append("it has been too hot once")
        elif attribute.when_failed == "past":
            case.watch.append(f"{name} was at the maker's threshold before")


def _self_tests(tests: tuple[SelfTest, ...], case: _Case) -> None:
    """The newest bad one counts, unless a newer long test was passed (smartctl calls it outdated).

    Aborted tests say nothing.
    """
    for place, test in enumerate(tests):
        if test.outcome not in {"failed", "fatal"}:
            continue
        if any(newer.is_long and newer.outcome == "passed" for newer in tests[:place]):
            case.notes.append("an old self-test failed, a newer long one passed")
        elif test.outcome == "fatal":
            case.watch.append("its self-test ended without a result")
        else:
            case.failing.append("its own self-test fails")
        return


def plausible(drive: Drive, number: int) -> int:
    """A raw count; 0 where the drive gives none or packs something else into the field."""
    raw = drive.raw(number)
    return 0 if raw is None or raw > IMPLAUSIBLE else raw


def _hard_disk(drive: Drive, case: _Case) -> None:
    pending, moved = plausible(drive, PENDING), plausible(drive, REALLOCATED)
    offline, reported = plausible(drive, OFFLINE), plausible(drive, REPORTED)
    case.count(pending, MANY_UNREADABLE, f"{_sectors(pending)} cannot be read (pending)")
    case.count(offline, MANY_UNREADABLE, f"{_sectors(offline)} could not be read in its own scan")
    case.count(moved, MANY_REALLOCATED, f"{_sectors(moved)} had to be replaced by spares")
    if reported:
        # Errors that reached the system, on a drive that also has bad sectors.
        both = bool(pending or moved or offline)
        (case.failing if both else case.watch).append(f"it reported {_errors(reported)}")
    if plausible(drive, END_TO_END):
        case.watch.append("data was damaged inside the drive (end-to-end errors)")
    if plausible(drive, SPIN_RETRY):
        case.watch.append("it needs several tries to spin up")
    unreadable = drive.log_errors.get("UNC", 0)
    if unreadable and not (pending or moved or offline or reported):
        case.watch.append("its error log holds unreadable sectors (UNC)")
    _cable(drive, case)


def _ata_ssd(drive: Drive, case: _Case) -> None:
    pending, moved = plausible(drive, PENDING), plausible(drive, REALLOCATED)
    lost = max(plausible(drive, OFFLINE), plausible(drive, REPORTED))
    # Crucial's MX500 flips this between 0 and 1 in good health (smartmontools issue 48).
    if pending == 1 and "MX500" in drive.model:
        case.notes.append("1 pending sector, as this model shows in good health")
    elif pending:
        case.watch.append(f"{_sectors(pending)} cannot be read (pending)")
    if moved >= MANY_REALLOCATED_SSD:
        case.watch.append(f"{moved} blocks had to be replaced by spares")
    if lost:
        case.watch.append(f"it met {_errors(lost)}")
    _worn(drive, case)
    _cable(drive, case)


def _cable(drive: Drive, case: _Case) -> None:
    """Interface CRC errors are counted for life and come from the cable, not the platters."""
    crc = drive.raw(CRC) or 0  # a plain count in every drive: millions are real
    if crc >= MANY_CRC:
        case.watch.append(f"{crc} transfers were damaged on the cable (CRC), over its life")
    elif crc:
        case.notes.append(f"{crc} transfers were damaged on the cable, over its life")


def _nvme(drive: Drive, case: _Case) -> None:
    warning = drive.critical_warning or 0
    case.failing += [text for bit, text in NVME_FAILING.items() if warning >> bit & 1]
    case.watch += [text for bit, text in NVME_WATCH.items() if warning >> bit & 1]
    if drive.media_errors:
        case.watch.append(f"it met {_errors(drive.media_errors)}")
    if drive.critical_minutes:
        case.watch.append(f"it was critically hot for {drive.critical_minutes} min of its life")
    _worn(drive, case)


def _scsi(drive: Drive, case: _Case) -> None:
    grown = drive.grown_defects
    case.count(grown, MANY_GROWN_DEFECTS, f"it has {grown} defects that grew in use")
    if drive.uncorrected:
        case.watch.append(f"it met {_errors(drive.uncorrected)}")


def _worn(drive: Drive, case: _Case) -> None:
    """More than 100 is allowed and does not mean that it fails; the maker promises no more."""
    used = drive.endurance_used
    if used is not None and used >= WORN_PERCENT:
        case.watch.append(f"{used} % of its rated endurance is used")


def _heat(drive: Drive, case: _Case) -> None:
    kind = {"NVMe": "nvme", "SCSI": "scsi"}.get(drive.protocol, "ssd" if drive.is_ssd else "hdd")
    degrees = drive.temperature
    if degrees is not None and HOT[kind] <= degrees < 120:
        case.watch.append(f"it is hot: {degrees} °C")


def _sectors(count: int) -> str:
    return "1 sector" if count == 1 else f"{count} sectors"


def _errors(count: int) -> str:
    return "1 error that it could not correct" if count == 1 else f"{count} uncorrectable errors"


SHOWN = {
    REALLOCATED: "reallocated sectors (5)",
    REPORTED: "reported uncorrectable (187)",
    PENDING: "pending sectors (197)",
    OFFLINE: "offline uncorrectable (198)",
    CRC: "interface CRC errors (199)",
}


def evidence(drive: Drive) -> list[dict[str, object]]:
    """[{"what", "value", "source", "since"}]; what the drive does not give is not listed."""
    words = {True: "passed", False: "FAILED", None: None}
    rows: list[tuple[str, object]] = [("its own verdict", words[drive.passed])]
    rows += [(name, drive.raw(number)) for number, name in SHOWN.items()]
    rows += [
        ("critical warning", drive.critical_warning),
        ("media errors", drive.media_errors),
        ("endurance used, %", drive.endurance_used),
        ("grown defects", drive.grown_defects),
        ("uncorrected errors", drive.uncorrected),
        ("newest self-test", drive.tests[0].said if drive.tests else None),
        ("unreadable sectors in its error log", drive.log_errors.get("UNC")),
        ("temperature, °C", drive.temperature),
        ("power-on hours", drive.hours),
    ]
    rows += [("the two readings differ", text) for text in drive.disagreements]
    return [
        {"what": what, "value": value, "source": f"smartctl {drive.device}", "since": None}
        for what, value in rows
        if value is not None
    ]


def advice(verdict: Verdict, drive: Drive) -> str:
    """What to do now."""
    if verdict.level == "bad":
        return (
            "Take the VMs off this drive now, the most valuable first, and have a good backup "
            "elsewhere; then replace it. Don't run checks or long tests before that: they add load."
        )
    if plausible(drive, PENDING) or plausible(drive, OFFLINE):
        return (
            "Pending sectors are places that the drive could not read; what lay there is lost "
            "unless a copy exists. See that the VMs on it are backed up and verified, run a long "
            f"self-test (`smartctl -t long {drive.device}`), and have a replacement ready."
        )
    if (drive.raw(CRC) or 0) >= MANY_CRC:
        return "Reseat or replace the cable, and see whether the count still grows."
    if any("hot" in part for part in verdict.reason.split("; ")):
        return "Give it air: heat shortens its life, and the readings are worth another look cool."
    return "Keep its backups current and look at it again; it need not be replaced at once."
