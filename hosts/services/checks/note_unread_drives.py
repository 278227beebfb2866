"""Drives that cannot be asked are a separate trouble: one could fail unnoticed.

One finding for each host. It ends when every drive that is there was read; a drive that sleeps is
let sleep, and one that answers without telling anything is shown as unknown and is no trouble.
"""

from collections.abc import Sequence
from datetime import datetime

from hosts.models import Host, PhysicalDisk, Reading
from hosts.rules.health import drives as rule
from hosts.selectors.drive_words import why_unread
from hosts.services.checks import recorder
from labpanel.adapters.errors import (
    AdapterError,
    CommandFailed,
    HostKeyChanged,
    KeyRefused,
    Missing,
    Unreachable,
)
from labpanel.lib.drives import DriveReading
from labpanel.symptoms.facts.drives import Unread, UnreadDrives
from labpanel.symptoms.kinds import Kind, Level, SubjectKind
from labpanel.symptoms.symptom import Evidence, Symptom, SymptomSubject

# The kernel's names of drives that smartctl lists (os_linux.cpp): the others it never asks.
_LISTED = ("/dev/sd", "/dev/nvme", "/dev/hd")


def not_asked(host: Host, error: AdapterError, now: datetime) -> None:
    """smartctl could not be run there. What the host's own silence is, is said elsewhere; a look
    that took too long once is tried again first."""
    if isinstance(error, Unreachable | KeyRefused | HostKeyChanged):
        return
    if not isinstance(error, Missing | CommandFailed) and _asked_lately(host, now):
        return
    _record(host, UnreadDrives(host.name, error=error.sentence), now)


def asked(host: Host, found: Sequence[tuple[PhysicalDisk, DriveReading]], now: datetime) -> None:
    """smartctl ran: open, change or end the finding by what could not be read."""
    unread = _unread(host, found, now)
    if not unread:
        recorder.resolve(host, Kind.DRIVES_UNREAD, [""], now)
        return
    _record(host, UnreadDrives(host.name, drives=unread), now)


def _unread(
    host: Host, found: Sequence[tuple[PhysicalDisk, DriveReading]], now: datetime
) -> tuple[Unread, ...]:
    """Each drive that is there and was not read within rule.OLD."""
    read = Reading.objects.filter(host=host, kind="smart", value__state="read")
    subjects = read.order_by().values_list("subject", flat=True).distinct()
    ever, lately = set(subjects), set(subjects.filter(last_at__gt=now - rule.OLD))
    unread = {
        disk.device: Unread(disk.device, rule.judge(drive).signs)
        for disk, drive in found
        if drive.is_silent and disk.key not in lately
    }
    listed_now = {disk.pk for disk, _ in found}
    there = PhysicalDisk.objects.filter(host=host, missing_since=None, only_smart=False)
    for disk in there.exclude(pk__in=listed_now):
        if disk.key in lately:
            continue
        if disk.key in ever or (not found and disk.device.startswith(_LISTED)):
            unread[disk.device] = Unread(disk.device)
    return tuple(unread.values())


def _asked_lately(host: Host, now: datetime) -> bool:
    looks = Reading.objects.filter(host=host, kind="smart-look", value__error="")
    return looks.filter(last_at__gt=now - rule.OLD).exists()


def _record(host: Host, facts: UnreadDrives, now: datetime) -> None:
    rows = tuple(Evidence(each.device, why_unread(each), "smartctl") for each in facts.drives)
    subject = SymptomSubject(SubjectKind.HOST)
    recorder.record(host, Symptom(subject, Level.WATCH, facts, rows), now)
