"""Is a drive failing? From what it says of itself, with the overall "PASSED" as the least of it.

Thresholds were set against some 90 000 published reports of real drives. There, 97 % of hard
disks with unreadable ("pending") sectors and 93 % of those whose own self-test fails call
themselves PASSED; so counts and self-tests decide. Left out on purpose, because they cry wolf:
command time-outs (188: three numbers packed into one), raw read and seek rates (1, 7), and NVMe's
count of error log entries (40 % of good drives have some).
"""

from dataclasses import dataclass, field
from datetime import timedelta

from labpanel.lib.drives import DriveReading, SelfTest
from labpanel.symptoms.facts.drives import DriveSign, Remedy, Sign
from labpanel.symptoms.symptom import Evidence

# How often the drives are asked. SMART changes slowly, and every question costs them a moment.
EVERY = timedelta(minutes=5)
OLD = 3 * EVERY  # after that, what a drive said last is no word on how it is now
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
    0: Sign.NO_SPARES,
    2: Sign.UNRELIABLE,
    3: Sign.NO_WRITES,
}
NVME_WATCH = {1: Sign.BAD_TEMPERATURE, 4: Sign.NO_POWER_LOSS_PROTECTION}


@dataclass(slots=True)
class _Case:
    """What speaks against a drive, and what was noted."""

    failing: list[DriveSign] = field(default_factory=list)
    watch: list[DriveSign] = field(default_factory=list)
    notes: list[DriveSign] = field(default_factory=list)

    def fails(self, sign: Sign, name: str = "") -> None:
        self.failing.append(DriveSign(sign, name=name))

    def watched(self, sign: Sign, count: int = 0, name: str = "") -> None:
        self.watch.append(DriveSign(sign, count, name))

    def noted(self, sign: Sign, count: int = 0) -> None:
        self.notes.append(DriveSign(sign, count))

    def count(self, number: int | None, limit: int, sign: Sign) -> None:
        """Some are to be watched, `limit` of them are a failing drive."""
        if number:
            (self.failing if number >= limit else self.watch).append(DriveSign(sign, number))


@dataclass(frozen=True, slots=True)
class JudgedDrive:
    """`level` is good, watch, bad (failing) or unknown; `signs` say why, worst first. `notes` are
    those that decide nothing."""

    level: str
    signs: tuple[DriveSign, ...]
    evidence: tuple[Evidence, ...]
    notes: tuple[DriveSign, ...] = ()


def judge(drive: DriveReading) -> JudgedDrive:
    items = tuple(evidence(drive))
    if drive.state != "read":
        why = DriveSign(Sign.SAID, name=drive.why) if drive.why else DriveSign(Sign.NO_DATA)
        return JudgedDrive("unknown", (why,), items)
    case = _Case()
    if drive.passed is False:
        case.fails(Sign.SELF_FAILING)
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
    return _verdict(case, items, _blind(drive))


def _blind(drive: DriveReading) -> Sign | None:
    """Why nothing in this answer could have spoken against the drive; None where something could.

    Absent is not 0: a drive that gives its own verdict alone is not known to be good.
    """
    if drive.is_disguised:
        return Sign.DISGUISED
    if any(number is not None for number in _telling(drive)):
        return None
    if any(test.outcome in {"passed", "failed"} for test in drive.tests):
        return None
    return Sign.NO_SMART_DATA if drive.passed is None else Sign.NOTHING_BUT_VERDICT


def _telling(drive: DriveReading) -> tuple[int | None, ...]:
    """The numbers that would show damage."""
    counts = tuple(_known(drive, number) for number in (REALLOCATED, REPORTED, PENDING, OFFLINE))
    return (
        *counts,
        drive.reported_errors,
        drive.pending_logged,
        drive.critical_warning,
        drive.media_errors,
        drive.endurance_used,
        drive.grown_defects,
        drive.uncorrected,
    )


def _verdict(case: _Case, items: tuple[Evidence, ...], blind: Sign | None) -> JudgedDrive:
    notes = tuple(case.notes)
    if case.failing:
        return JudgedDrive("bad", tuple(case.failing + case.watch), items, notes)
    if case.watch:
        return JudgedDrive("watch", tuple(case.watch), items, notes)
    if blind is not None:
        return JudgedDrive("unknown", (DriveSign(blind), *notes), items, notes)
    return JudgedDrive("good", notes or (DriveSign(Sign.NOTHING_AGAINST),), items, notes)


def _attributes_at_threshold(drive: DriveReading, case: _Case) -> None:
    for attribute in drive.attributes.values():
        name = attribute.name.replace("_", " ")
        worn = attribute.number in WEAR_ATTRIBUTES
        if attribute.when_failed == "now":
            sign = DriveSign(Sign.AT_THRESHOLD, name=name)
            (case.watch if worn else case.failing).append(sign)
        elif attribute.when_failed == "past" and attribute.number in {190, 194}:
            case.noted(Sign.WAS_HOT)
        elif attribute.when_failed == "past":
            case.watched(Sign.WAS_AT_THRESHOLD, name=name)


def _self_tests(tests: tuple[SelfTest, ...], case: _Case) -> None:
    """The newest bad one counts, unless a newer long test was passed (smartctl calls it outdated).

    Aborted tests say nothing.
    """
    for place, test in enumerate(tests):
        if test.outcome not in {"failed", "fatal"}:
            continue
        if any(newer.is_long and newer.outcome == "passed" for newer in tests[:place]):
            case.noted(Sign.OLD_TEST_FAILED)
        elif test.outcome == "fatal":
            case.watched(Sign.TEST_FATAL)
        else:
            case.fails(Sign.TEST_FAILS)
        return


def _known(drive: DriveReading, number: int) -> int | None:
    """A raw count; None where the drive gives none or packs something else into the field."""
    raw = drive.raw(number)
    return None if raw is None or raw > IMPLAUSIBLE else raw


def plausible(drive: DriveReading, number: int) -> int:
    return _known(drive, number) or 0


def pending_of(drive: DriveReading) -> int:
    """Unreadable places, by the attribute or by the drive's own list of them."""
    return max(plausible(drive, PENDING), drive.pending_logged or 0)


def reported_of(drive: DriveReading) -> int:
    """Errors that the system was told of, by the attribute or by the drive's statistics."""
    return plausible(drive, REPORTED) or drive.reported_errors or 0


def _hard_disk(drive: DriveReading, case: _Case) -> None:
    pending, moved = pending_of(drive), plausible(drive, REALLOCATED)
    offline, reported = plausible(drive, OFFLINE), reported_of(drive)
    case.count(pending, MANY_UNREADABLE, Sign.PENDING)
    case.count(offline, MANY_UNREADABLE, Sign.OFFLINE)
    case.count(moved, MANY_REALLOCATED, Sign.REALLOCATED)
    if reported:
        # Errors that reached the system, on a drive that also has bad sectors.
        both = bool(pending or moved or offline)
        case.count(reported, 1 if both else reported + 1, Sign.REPORTED)
    if plausible(drive, END_TO_END):
        case.watched(Sign.END_TO_END)
    if plausible(drive, SPIN_RETRY):
        case.watched(Sign.SPIN_RETRY)
    if _known(drive, PENDING) is None and drive.pending_logged is None:
        case.noted(Sign.NO_PENDING_COUNT)
    unreadable = drive.log_errors.get("UNC", 0)
    if unreadable and not (pending or moved or offline or reported):
        case.watched(Sign.LOGGED_UNREADABLE)
    _worn(drive, case)  # an SSD whose bridge does not say that it is one
    _cable(drive, case)


def _ata_ssd(drive: DriveReading, case: _Case) -> None:
    counts = [_known(drive, number) for number in (REALLOCATED, REPORTED, PENDING, OFFLINE)]
    if all(count is None for count in (*counts, drive.reported_errors, drive.pending_logged)):
        case.noted(Sign.NO_ERROR_COUNTS)
    pending, moved = pending_of(drive), plausible(drive, REALLOCATED)
    lost = max(plausible(drive, OFFLINE), reported_of(drive))
    # Crucial's MX500 flips this between 0 and 1 in good health (smartmontools issue 48).
    if pending == 1 and "MX500" in drive.model:
        case.noted(Sign.HARMLESS_PENDING)
    elif pending:
        case.watched(Sign.PENDING, pending)
    if moved >= MANY_REALLOCATED_SSD:
        case.watched(Sign.BLOCKS_REPLACED, moved)
    if lost:
        case.watched(Sign.MET_ERRORS, lost)
    _worn(drive, case)
    _cable(drive, case)


def _cable(drive: DriveReading, case: _Case) -> None:
    """Interface CRC errors are counted for life and come from the cable, not the platters."""
    crc = drive.raw(CRC) or 0  # a plain count in every drive: millions are real
    if crc >= MANY_CRC:
        case.watched(Sign.MANY_CRC, crc)
    elif crc:
        case.noted(Sign.SOME_CRC, crc)


def _nvme(drive: DriveReading, case: _Case) -> None:
    warning = drive.critical_warning or 0
    case.failing += [DriveSign(sign) for bit, sign in NVME_FAILING.items() if warning >> bit & 1]
    case.watch += [DriveSign(sign) for bit, sign in NVME_WATCH.items() if warning >> bit & 1]
    if drive.media_errors:
        case.watched(Sign.MET_ERRORS, drive.media_errors)
    if drive.critical_minutes:
        case.watched(Sign.CRITICALLY_HOT, drive.critical_minutes)
    _worn(drive, case)


def _scsi(drive: DriveReading, case: _Case) -> None:
    case.count(drive.grown_defects, MANY_GROWN_DEFECTS, Sign.GROWN_DEFECTS)
    case.count(drive.pending_logged, MANY_UNREADABLE, Sign.PENDING)
    if drive.uncorrected:
        case.watched(Sign.MET_ERRORS, drive.uncorrected)
    _worn(drive, case)


def _worn(drive: DriveReading, case: _Case) -> None:
    """More than 100 is allowed and does not mean that it fails; the maker promises no more."""
    used = drive.endurance_used
    if used is not None and used >= WORN_PERCENT:
        case.watched(Sign.WORN, used)


def _heat(drive: DriveReading, case: _Case) -> None:
    kind = {"NVMe": "nvme", "SCSI": "scsi"}.get(drive.protocol, "ssd" if drive.is_ssd else "hdd")
    degrees = drive.temperature
    if degrees is not None and HOT[kind] <= degrees < 120:
        case.watched(Sign.HOT, degrees)


SHOWN = {
    REALLOCATED: "reallocated sectors (5)",
    REPORTED: "reported uncorrectable (187)",
    PENDING: "pending sectors (197)",
    OFFLINE: "offline uncorrectable (198)",
    CRC: "interface CRC errors (199)",
}


def evidence(drive: DriveReading) -> list[Evidence]:
    """What the drive does not give is not listed."""
    words = {True: "passed", False: "FAILED", None: None}
    rows: list[tuple[str, str | int | None]] = [("its own verdict", words[drive.passed])]
    rows += [(name, drive.raw(number)) for number, name in SHOWN.items()]
    rows += [
        ("critical warning", drive.critical_warning),
        ("pending, by its own list", drive.pending_logged),
        ("reported uncorrectable, by its statistics", drive.reported_errors),
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
    source = f"smartctl {drive.device}"
    return [Evidence(what, value, source) for what, value in rows if value is not None]


def remedy(judged: JudgedDrive, drive: DriveReading) -> Remedy:
    """What to do now."""
    if judged.level == "bad":
        return Remedy.REPLACE
    if pending_of(drive) or plausible(drive, OFFLINE):
        return Remedy.PENDING
    if (drive.raw(CRC) or 0) >= MANY_CRC:
        return Remedy.CABLE
    return Remedy.COOL if any(each.sign in _HEAT for each in judged.signs) else Remedy.WATCH


_HEAT = {Sign.HOT, Sign.BAD_TEMPERATURE, Sign.CRITICALLY_HOT}
