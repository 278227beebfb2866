"""Ask a host's drives how they are, write it down, and say what is wrong."""

from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from hosts.models import VM, Host, PhysicalDisk, Reading, VirtualDisk
from hosts.rules import drives as rule
from hosts.services import findings, readings
from hosts.services.findings import Trouble
from labpanel.adapters import smart
from labpanel.adapters.errors import AdapterError
from labpanel.lib.drives import Drive
from labpanel.lib.shapes import Verdict

KIND = "drive"
# SMART changes slowly, and every question costs the drive a moment.
EVERY = timedelta(minutes=5)
KEEP_TEMPERATURES = timedelta(days=30)


def check_drives(host: Host) -> bool:
    """Ask if it is time; True when the drives answered."""
    now = timezone.now()
    if not _claim_turn(host, now):
        return False
    try:
        found = smart.read_drives(host.endpoint())
    except AdapterError as error:
        readings.record(host, {("smart-look", ""): {"error": error.sentence}}, timezone.now())
        return False
    with transaction.atomic():
        readings.record(host, {("smart-look", ""): {"error": ""}}, timezone.now())
        record(host, found, timezone.now())
    return True


def record(host: Host, found: list[Drive], now: datetime) -> None:
    """Write one look at all drives of a host down."""
    known = {disk.pk: disk for disk in PhysicalDisk.objects.filter(host=host)}
    values: dict[tuple[str, str], object] = {}
    for drive in found:
        disk = _remember(host, drive, list(known.values()), now)
        known[disk.pk] = disk
        verdict = rule.judge(drive)
        _conclude(host, disk, drive, verdict, now)
        if drive.state == "standby":
            continue  # what it said when it was awake still stands
        values["smart", disk.key] = {
            "level": verdict.level,
            "reason": verdict.reason,
            "state": drive.state,
            "passed": drive.passed,
            "counts": _counts(drive),
            "tests": [[test.kind, test.outcome, test.hours] for test in drive.tests[:5]],
            "disagreements": list(drive.disagreements),
        }
        if drive.state == "read":
            numbers = {"temperature": drive.temperature, "hours": drive.hours}
            values["smart-now", disk.key] = numbers
    readings.record(host, values, now)
    gone = PhysicalDisk.objects.filter(host=host, only_smart=True, seen_at__lt=now)
    gone.filter(missing_since=None).update(missing_since=now)
    old = Reading.objects.filter(host=host, kind="smart-now", last_at__lt=now - KEEP_TEMPERATURES)
    old.delete()


def _claim_turn(host: Host, now: datetime) -> bool:
    """Once in EVERY, the tries that fail too. The first look is due at once."""
    row = readings.latest(host, ["smart-look"], now).get(("smart-look", ""))
    if row is not None and now - row.last_at < EVERY - timedelta(seconds=5):
        return False
    readings.record(host, {("smart-look", ""): row.value if row else {"error": ""}}, now)
    return True


def _remember(host: Host, drive: Drive, known: list[PhysicalDisk], now: datetime) -> PhysicalDisk:
    """The row of this drive: by WWN or serial number, else by its path; or a new one."""
    disk = next((row for row in known if _same(row, drive)), None)
    if disk is None:
        named = " ".join(filter(None, (drive.model, drive.serial)))
        key = (drive.wwn or (named if drive.serial else "") or drive.device)[:128]
        disk, _ = PhysicalDisk.objects.get_or_create(
            host=host, key=key, defaults={"seen_at": now, "only_smart": True}
        )
    disk.device, disk.interface = drive.device, drive.interface
    disk.model, disk.serial = drive.model or disk.model, drive.serial or disk.serial
    disk.size_bytes = drive.size_bytes or disk.size_bytes
    if drive.is_ssd is not None:
        disk.rotational = not drive.is_ssd
    disk.seen_at, disk.missing_since = now, None
    disk.save()
    return disk


def _same(disk: PhysicalDisk, drive: Drive) -> bool:
    if drive.wwn and _plain(disk.key) == _plain(drive.wwn):
        return True
    if drive.serial and disk.serial:
        return disk.serial.strip().lower() == drive.serial.strip().lower()
    # Members of a RAID controller share one path and differ by their -d type.
    return disk.device == drive.device and disk.interface in {"", drive.interface}


def _plain(name: str) -> str:
    """0x5000c500…, naa.5000c500… and eui.… name the same thing."""
    lower = name.lower()
    for prefix in ("0x", "naa.", "eui."):
        lower = lower.removeprefix(prefix)
    return lower


def _counts(drive: Drive) -> dict[str, int | None]:
    """The numbers that the verdict rests on; None where the drive gives none."""
    return {
        "reallocated": drive.raw(rule.REALLOCATED),
        "reported": drive.raw(rule.REPORTED),
        "pending": drive.raw(rule.PENDING),
        "offline": drive.raw(rule.OFFLINE),
        "crc": drive.raw(rule.CRC),
        "log_unc": drive.log_errors.get("UNC"),
        "critical_warning": drive.critical_warning,
        "media_errors": drive.media_errors,
        "endurance_used": drive.endurance_used,
        "grown_defects": drive.grown_defects,
        "uncorrected": drive.uncorrected,
    }


def _conclude(
    host: Host, disk: PhysicalDisk, drive: Drive, verdict: Verdict, now: datetime
) -> None:
    """No data neither opens nor ends a finding: it says nothing either way."""
    if verdict.level == "good":
        findings.resolve(host, KIND, [disk.key], now)
    if verdict.level not in {"watch", "bad"}:
        return
    word = "is failing" if verdict.level == "bad" else "needs watching"
    name = f"{disk.device} ({disk.model})" if disk.model else disk.device
    items = verdict.evidence["items"]
    assert isinstance(items, list)
    trouble = Trouble(
        kind=KIND,
        subject=disk.key,
        severity=verdict.level,
        sentence=f"The drive {name} of {host.name} {word}: {verdict.reason}",
        advice=rule.advice(verdict, drive),
        evidence=items,
        vms=_vms_on(disk),
    )
    findings.report(host, trouble, now)


def _vms_on(disk: PhysicalDisk) -> tuple[VM, ...]:
    """VMs with an image on a file system of this drive, or with the drive itself."""
    here = VirtualDisk.objects.filter(
        vm__host=disk.host, vm__missing_since=None, missing_since=None
    ).select_related("vm")
    touched = here.filter(file_system__drives=disk) | here.filter(kind="block", source=disk.device)
    return tuple({row.vm.pk: row.vm for row in touched.distinct()}.values())
