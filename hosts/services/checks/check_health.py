"""Look at a host's file systems, write the evidence down, and say what is wrong."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from hosts.models import VM, Finding, Host, Reading
from hosts.rules.health import file_systems as rule
from hosts.rules.placement.paths import holder
from hosts.selectors import images
from hosts.services.checks import odd_answers, readings, recorder
from hosts.services.checks.check_room import check_room
from labpanel.adapters.errors import AdapterError, TimedOut
from labpanel.adapters.looks import canary
from labpanel.lib import tempo
from labpanel.symptoms.facts.file_systems import Cause
from labpanel.symptoms.facts.hosts import FailedCheck
from labpanel.symptoms.kinds import Kind, Level, SubjectKind
from labpanel.symptoms.symptom import Evidence, Look, Symptom, SymptomSubject

# A look fails now and then (a restart, a busy minute); one that keeps failing is a trouble.
GRACE = timedelta(seconds=tempo.NOW.health_grace)
CLOCKS_AGREE = 30  # seconds
Answer = dict[str, Any]


def check_health(host: Host) -> None:
    """One look. A host that does not answer at all is the probe's to report, not ours."""
    try:
        answer = canary.look(host.endpoint(), images.image_folders(host))
    except AdapterError as error:
        _not_looked(host, error, timezone.now())
        return
    now = timezone.now()
    with transaction.atomic():
        readings.record(host, {("canary", ""): {"error": ""}}, now)
        recorder.resolve(host, Kind.CHECK, [""], now)
        weigh(host, answer, now)


def weigh(host: Host, answer: Answer, now: datetime) -> None:
    """Turn one answer of the canary into readings and findings."""
    probes = defaultdict(list)
    for probe in answer["probes"]:
        probes[probe["mount_point"]].append(probe)
    mounts = {entry["mount_point"]: entry for entry in answer["mounts"]}
    before = readings.latest(host, ["mount", "probe"], now)
    ahead = _clock_ahead(answer, now)
    points = {point: place for place, entry in mounts.items() for point in (place, *entry["also"])}
    touched = images.vms_by_mount(host, points)
    look = Look()
    slow_for: dict[str, float | None] = {}
    for place, entry in mounts.items():
        counters = answer["ext4"].get(entry["device"]) if entry["fstype"] == "ext4" else None
        mine = probes.get(place, [])
        seen = _seen(host, entry, _counters(counters, ahead), mine, before, now)
        slow_for[place] = seen.slow_for
        judged = rule.judge(seen, host.name)
        if judged.trouble is not None:
            look.found.append(_symptom(host, judged, touched.get(place, ()), now))
        elif judged.level == "good":
            look.is_over(Kind.FILE_SYSTEM, [place])
    needed = images.needed_mounts(host)
    unplaced = _unplaced(host, probes, set(points), set(needed), look, now)
    _look_for_unmounted(host, set(points) | unplaced, needed, look, now)
    recorder.note(host, look, now)
    check_room(host, answer["probes"], touched, now)
    slow = {place for place, seconds in slow_for.items() if seconds is not None}
    readings.record(host, _values(answer, mounts, slow), now)
    odd_answers.note(host, "health check", answer.get("odd", ()), now)


def _seen(
    host: Host,
    entry: Answer,
    counters: rule.ErrorCounters | None,
    probes: list[Answer],
    before: dict[tuple[str, str], Reading],
    now: datetime,
) -> rule.FileSystemLook:
    place = entry["mount_point"]
    mount = rule.MountState(
        place, entry["source"], entry["fstype"], rule.options_of(entry["options"], entry["super"])
    )
    told, row = tuple(_probe(each) for each in probes), before.get(("probe", place))
    slow_since = _slow_since(told, row, now)
    return rule.FileSystemLook(
        mount=mount,
        counters=counters,
        probes=told,
        was_writable=_was_writable(host, mount),
        good_until=_good_until(row),
        slow_for=(now - slow_since).total_seconds() if slow_since else None,
        slow_since=slow_since.timestamp() if slow_since else None,
    )


def _probe(said: Answer) -> rule.Probe:
    return rule.Probe(
        said["folder"], said["outcome"], said["error"], said["detail"], said.get("seconds")
    )


def _slow_since(
    probes: Sequence[rule.Probe], row: Reading | None, now: datetime
) -> datetime | None:
    """Since when every look found it slow; None unless this one does."""
    before = row is not None and bool(row.value.get("slow"))
    if not rule.is_slow(probes, before=before):
        return None
    return row.first_at if row is not None and before else now


def _clock_ahead(answer: Answer, now: datetime) -> int:
    """Seconds by which the host's clock is ahead of ours; 0 within what an answer's way takes."""
    ahead = round(answer["now"] - now.timestamp())
    return ahead if abs(ahead) > CLOCKS_AGREE else 0


def _counters(values: Answer | None, ahead: int) -> rule.ErrorCounters | None:
    """ext4's account, its times in the panel's clock."""
    if values is None:
        return None
    first, last = values.get("first_error_time", 0), values.get("last_error_time", 0)
    return rule.ErrorCounters(
        errors=values["errors_count"],
        first_at=first - ahead if first else 0,
        last_at=last - ahead if last else 0,
        function=str(values.get("first_error_func", "")),
        errcode=values.get("first_error_errcode", 0),
    )


def _was_writable(host: Host, mount: rule.MountState) -> bool:
    """Asked only of what is read-only now: was this mount ever seen writable?"""
    if "ro" not in mount.options:
        return True
    rows = Reading.objects.filter(host=host, kind="mount", subject=mount.mount_point)
    return any(
        row.value["source"] == mount.source and "ro" not in rule.options_of(row.value["options"])
        for row in rows.order_by("-last_at")[:20]
    )


def _good_until(row: Reading | None) -> float | None:
    if row is None or row.value.get("outcomes") != ["ok"]:
        return None
    return row.last_at.timestamp()


def _values(
    answer: Answer, mounts: dict[str, Answer], slow: set[str]
) -> dict[tuple[str, str], Any]:
    """What is kept of an answer: nothing that differs at every look."""
    values: dict[tuple[str, str], Any] = {}
    for place, entry in mounts.items():
        options = f"{entry['options']},{entry['super']}"
        values["mount", place] = {"source": entry["source"], "options": options}
        counters = answer["ext4"].get(entry["device"])
        if entry["fstype"] == "ext4" and counters is not None:
            values["ext4", place] = counters
        mine = [probe for probe in answer["probes"] if probe["mount_point"] == place]
        if mine:
            outcomes = sorted({probe["outcome"] for probe in mine})
            errors = sorted({probe["error"] for probe in mine if probe["error"]})
            more = {"slow": True} if place in slow else {}
            values["probe", place] = {"outcomes": outcomes, "errors": errors, **more}
    return values


def _symptom(
    host: Host, judged: rule.JudgedFileSystem, vms: tuple[VM, ...], now: datetime
) -> Symptom:
    trouble = judged.trouble
    assert trouble is not None
    since = _moment(judged.since, now)
    if judged.level == Level.BAD or trouble.cause is Cause.SLOW:
        began = since or _opened_at(host, trouble.mount_point) or now
        trouble = replace(trouble, since=began)
    return Symptom(
        SymptomSubject(SubjectKind.FILE_SYSTEM, trouble.mount_point),
        Level(judged.level),
        trouble,
        judged.evidence,
        tuple(vm.uuid for vm in vms),
        since,
    )


def _unplaced(
    host: Host,
    probes: Mapping[str, list[Answer]],
    mounted: set[str],
    needed: set[str],
    look: Look,
    now: datetime,
) -> set[str]:
    """Folders with images whose probe failed while it is not known on which file system they lie.
    Where one is not mounted, that is the trouble."""
    absent = [(place, 0) for place in needed - mounted]
    lost = [each for place, rows in probes.items() if place not in mounted for each in rows]
    touched = images.vms_by_folder(host)
    reported = set()
    for each in lost:
        folder = each["folder"]
        if folder not in touched or holder(folder, absent) is not None:
            continue
        mount = rule.MountState(folder, "", "")
        judged = rule.judge(rule.FileSystemLook(mount, probes=(_probe(each),)), host.name)
        if judged.trouble is not None:
            look.found.append(_symptom(host, judged, touched[folder], now))
        if judged.level != "good":
            reported.add(folder)
    return reported


def _look_for_unmounted(
    host: Host,
    mounted: set[str],
    needed: dict[str, tuple[VM, ...]],
    look: Look,
    now: datetime,
) -> None:
    """A file system with images that is not mounted; and findings of one that holds no images."""
    open_ones = Finding.objects.filter(host=host, kind=Kind.FILE_SYSTEM, resolved_at=None)
    for place in {*needed, *open_ones.values_list("subject", flat=True)} - mounted:
        if place not in needed:
            look.is_over(Kind.FILE_SYSTEM, [place])
            continue
        judged = rule.unmounted(rule.MountState(place, "", ""), host.name)
        look.found.append(_symptom(host, judged, needed[place], now))


def _not_looked(host: Host, error: AdapterError, now: datetime) -> None:
    """Only where the host answers otherwise: a host that is gone is one finding, not two."""
    row = readings.record(host, {("canary", ""): {"error": type(error).__name__}}, now)
    host.refresh_from_db()
    began = row["canary", ""].first_at
    if host.failing_since is not None or now - began < GRACE:
        return
    hangs = isinstance(error, TimedOut)
    symptom = Symptom(
        SymptomSubject(SubjectKind.HOST),
        Level.BAD,
        FailedCheck(host.name, began, hangs, "" if hangs else error.sentence),
        (Evidence("health check", error.sentence, "SSH", began),),
        tuple(host.vms.filter(missing_since=None).values_list("uuid", flat=True)),
        began,
    )
    recorder.record(host, symptom, now)


def _opened_at(host: Host, subject: str) -> datetime | None:
    """When the open finding began, so that its sentence stays the same from look to look."""
    return (
        Finding.objects.filter(
            host=host,
            kind=Kind.FILE_SYSTEM,
            subject=subject,
            resolved_at=None,
            severity=Level.BAD,
        )
        .values_list("opened_at", flat=True)
        .first()
    )


def _moment(seconds: float | None, now: datetime) -> datetime | None:
    """A host's own time; one in the future (a clock that is wrong) is not believed."""
    if not seconds:
        return None
    at = datetime.fromtimestamp(seconds, UTC)
    return at if at <= now + timedelta(seconds=5) else None
