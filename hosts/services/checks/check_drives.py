"""Ask a host's drives how they are, write it down, and say what is wrong."""

from dataclasses import asdict
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from hosts.models import Host, PhysicalDisk, Reading, VirtualDisk
from hosts.rules.health import drives as rule
from hosts.services.checks import note_unread_drives, readings, recorder
from hosts.services.checks.recognise_drives import Sighting, recognise_drives
from labpanel.adapters.drives import smart
from labpanel.adapters.errors import AdapterError
from labpanel.clock.services.doubt import doubt
from labpanel.lib import drive_names
from labpanel.lib.drives import DriveReading
from labpanel.symptoms.facts.drives import DriveTrouble
from labpanel.symptoms.kinds import Kind, Level, SubjectKind
from labpanel.symptoms.symptom import Look, Symptom, SymptomSubject

KEEP_TEMPERATURES = timedelta(days=30)


def check_drives(host: Host) -> bool:
    """Ask if it is time; True when the drives answered."""
    now = timezone.now()
    if not _claim_turn(host, now):
        return False
    try:
        found = smart.read_drives(host.endpoint())
    except AdapterError as error:
        now = timezone.now()
        readings.record(host, {("smart-look", ""): {"error": error.sentence}}, now)
        note_unread_drives.not_asked(host, error, now)
        return False
    with transaction.atomic():
        readings.record(host, {("smart-look", ""): {"error": ""}}, timezone.now())
        record(host, found, timezone.now())
    return True


def record(host: Host, found: list[DriveReading], now: datetime) -> None:
    """Write one look at all drives of a host down."""
    seen = [_sighting(each) for each in found]
    rows = recognise_drives(host, seen, now, only_smart=True)
    values: dict[tuple[str, str], object] = {}
    asked: list[tuple[PhysicalDisk, DriveReading]] = []
    look = Look()
    for drive, disk in zip(found, rows, strict=True):
        if disk is None:
            continue
        _save(disk, drive, now)
        asked.append((disk, drive))
        judged = rule.judge(drive)
        _conclude(host, disk, drive, judged, look)
        values["smart-sleep", disk.key] = {"asleep": drive.state == "standby"}
        if drive.state == "standby":
            continue  # what it said when it was awake still stands, for a while
        values["smart", disk.key] = {
            "level": judged.level,
            "signs": [asdict(sign) for sign in judged.signs],
            "state": "no-data" if drive.is_silent else drive.state,
            "passed": drive.passed,
            "counts": _counts(drive),
            "tests": [[test.kind, test.outcome, test.hours] for test in drive.tests[:5]],
            "disagreements": list(drive.disagreements),
        }
        if drive.state == "read":
            numbers = {"temperature": drive.temperature, "hours": drive.hours}
            values["smart-now", disk.key] = numbers
    readings.record(host, values, now)
    recorder.note(host, look, now)
    note_unread_drives.asked(host, asked, now)
    gone = PhysicalDisk.objects.filter(host=host, only_smart=True).exclude(seen_at=now)
    gone.filter(missing_since=None).update(missing_since=now)
    if not doubt():
        old = now - KEEP_TEMPERATURES
        Reading.objects.filter(
            host=host, kind__in=("smart-now", "smart-sleep"), last_at__lt=old
        ).delete()


def _claim_turn(host: Host, now: datetime) -> bool:
    """Once in rule.EVERY, the tries that fail too. The first look is due at once."""
    row = readings.latest(host, ["smart-look"], now).get(("smart-look", ""))
    if row is not None and now - row.last_at < rule.EVERY - timedelta(seconds=5):
        return False
    readings.record(host, {("smart-look", ""): row.value if row else {"error": ""}}, now)
    return True


def _sighting(drive: DriveReading) -> Sighting:
    return Sighting(
        drive.device,
        drive.model,
        drive.serial,
        drive.wwn,
        interface=drive.interface,
        size_bytes=drive.size_bytes,
    )


def _save(disk: PhysicalDisk, drive: DriveReading, now: datetime) -> None:
    """What smartctl knows of it. The kernel's own name of a namespace (nvme0n1) stays."""
    if not drive_names.same_controller(disk.device, drive.device):
        disk.device = drive.device
    disk.interface = drive.interface or disk.interface
    disk.model, disk.serial = drive.model or disk.model, drive.serial or disk.serial
    disk.wwn = disk.wwn or drive.wwn
    disk.size_bytes = drive.size_bytes or disk.size_bytes
    if drive.is_ssd is not None:
        disk.rotational = not drive.is_ssd
    disk.seen_at, disk.missing_since = now, None
    disk.save()


def _counts(drive: DriveReading) -> dict[str, int | None]:
    """The numbers that the verdict rests on; None where the drive gives none."""
    return {
        "reallocated": drive.raw(rule.REALLOCATED),
        "reported": drive.raw(rule.REPORTED),
        "pending": drive.raw(rule.PENDING),
        "offline": drive.raw(rule.OFFLINE),
        "crc": drive.raw(rule.CRC),
        "log_unc": drive.log_errors.get("UNC"),
        "critical_warning": drive.critical_warning,
        "pending_logged": drive.pending_logged,
        "reported_by_statistics": drive.reported_errors,
        "media_errors": drive.media_errors,
        "endurance_used": drive.endurance_used,
        "grown_defects": drive.grown_defects,
        "uncorrected": drive.uncorrected,
    }


def _conclude(
    host: Host, disk: PhysicalDisk, drive: DriveReading, judged: rule.JudgedDrive, look: Look
) -> None:
    """No data neither opens nor ends a finding: it says nothing either way."""
    if judged.level == "good":
        look.is_over(Kind.DRIVE, [disk.key])
    if judged.level not in set(Level):
        return
    facts = DriveTrouble(
        host.name,
        disk.device,
        disk.model,
        failing=judged.level == Level.BAD,
        signs=judged.signs,
        remedy=rule.remedy(judged, drive),
        asked_at=drive.device,
    )
    look.found.append(
        Symptom(
            SymptomSubject(SubjectKind.DRIVE, disk.key),
            Level(judged.level),
            facts,
            judged.evidence,
            _vms_on(disk),
        )
    )


def _vms_on(disk: PhysicalDisk) -> tuple[UUID, ...]:
    """VMs with an image on a file system of this drive, or with the drive itself."""
    here = VirtualDisk.objects.filter(
        vm__host=disk.host, vm__missing_since=None, missing_since=None
    )
    touched = here.filter(file_system__drives=disk) | here.filter(kind="block", source=disk.device)
    return tuple(dict.fromkeys(touched.distinct().values_list("vm__uuid", flat=True)))
