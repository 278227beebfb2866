"""Look at a host's file systems, write the evidence down, and say what is wrong."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from hosts.models import VM, Finding, Host, Reading
from hosts.rules import file_systems as rule
from hosts.selectors import images
from hosts.services import findings, readings
from hosts.services.findings import Trouble
from labpanel.adapters import canary
from labpanel.adapters.errors import AdapterError
from labpanel.lib.shapes import Verdict

KIND = "file-system"
# A look fails now and then (a restart, a busy minute); one that keeps failing is a trouble.
GRACE = timedelta(seconds=60)
CLOCKS_AGREE = 30  # seconds
Evidence = dict[str, Any]


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
        findings.resolve(host, "check", [""], now)
        weigh(host, answer, now)


def weigh(host: Host, answer: Evidence, now: datetime) -> None:
    """Turn one answer of the canary into readings and findings."""
    probes = defaultdict(list)
    for probe in answer["probes"]:
        probes[probe["mount_point"]].append(probe)
    mounts = {entry["mount_point"]: entry for entry in answer["mounts"]}
    before = readings.latest(host, ["mount", "probe"], now)
    ahead = _clock_ahead(answer, now)
    points = {point: place for place, entry in mounts.items() for point in (place, *entry["also"])}
    touched = images.vms_by_mount(host, points)
    good = []
    for place, entry in mounts.items():
        counters = answer["ext4"].get(entry["device"]) if entry["fstype"] == "ext4" else None
        seen = _seen(host, entry, _counters(counters, ahead), probes.get(place, []), before)
        verdict = rule.judge(seen)
        if verdict.level in {"watch", "bad"}:
            _report(host, seen.mount, verdict, touched.get(place, ()), now)
        elif verdict.level == "good":
            good.append(place)
    findings.resolve(host, KIND, good, now)
    _look_for_unmounted(host, set(points), now)
    readings.record(host, _values(answer, mounts), now)


def _seen(
    host: Host,
    entry: Evidence,
    counters: rule.Counters | None,
    probes: list[Evidence],
    before: dict[tuple[str, str], Reading],
) -> rule.Seen:
    place = entry["mount_point"]
    mount = rule.Mount(
        place, entry["source"], entry["fstype"], rule.options_of(entry["options"], entry["super"])
    )
    return rule.Seen(
        mount=mount,
        counters=counters,
        probes=tuple(
            rule.Probe(each["folder"], each["outcome"], each["error"], each["detail"])
            for each in probes
        ),
        was_writable=_was_writable(host, mount),
        good_until=_good_until(before.get(("probe", place))),
    )


def _clock_ahead(answer: Evidence, now: datetime) -> int:
    """Seconds by which the host's clock is ahead of ours; 0 within what an answer's way takes."""
    ahead = round(answer["now"] - now.timestamp())
    return ahead if abs(ahead) > CLOCKS_AGREE else 0


def _counters(values: Evidence | None, ahead: int) -> rule.Counters | None:
    """ext4's account, its times in the panel's clock."""
    if values is None:
        return None
    first, last = values.get("first_error_time", 0), values.get("last_error_time", 0)
    return rule.Counters(
        errors=values["errors_count"],
        first_at=first - ahead if first else 0,
        last_at=last - ahead if last else 0,
        function=str(values.get("first_error_func", "")),
        errcode=values.get("first_error_errcode", 0),
    )


def _was_writable(host: Host, mount: rule.Mount) -> bool:
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


def _values(answer: Evidence, mounts: dict[str, Evidence]) -> dict[tuple[str, str], Any]:
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
            values["probe", place] = {"outcomes": outcomes, "errors": errors}
    return values


def _report(
    host: Host, mount: rule.Mount, verdict: Verdict, vms: tuple[VM, ...], now: datetime
) -> None:
    since = _moment(verdict.evidence["since"], now)
    began = since or _opened_at(host, mount.mount_point) or now
    tail = f" since {findings.clock(began, now)}" if verdict.level == "bad" else ""
    cause = str(verdict.evidence["cause"])
    items = verdict.evidence["items"]
    assert isinstance(items, list)
    trouble = Trouble(
        kind=KIND,
        subject=mount.mount_point,
        severity=verdict.level,
        sentence=f"{host.name} {verdict.reason}{tail}",
        advice=rule.advice(cause, mount),
        evidence=[{**item, "since": _iso(item["since"])} for item in items],
        vms=vms,
        since=since,
    )
    findings.report(host, trouble, now)


def _look_for_unmounted(host: Host, mounted: set[str], now: datetime) -> None:
    """A file system with images that is not mounted; and findings of one that nobody needs."""
    needed = images.needed_mounts(host)
    open_ones = Finding.objects.filter(host=host, kind=KIND, resolved_at=None)
    for place in {*needed, *open_ones.values_list("subject", flat=True)} - mounted:
        if place not in needed:
            findings.resolve(host, KIND, [place], now)
            continue
        mount = rule.Mount(place, "", "")
        _report(host, mount, rule.unmounted(mount), needed[place], now)


def _not_looked(host: Host, error: AdapterError, now: datetime) -> None:
    """Only where the host answers otherwise: a host that is gone is one finding, not two."""
    row = readings.record(host, {("canary", ""): {"error": type(error).__name__}}, now)
    host.refresh_from_db()
    began = row["canary", ""].first_at
    if host.failing_since is not None or now - began < GRACE:
        return
    clock = findings.clock(began, now)
    trouble = Trouble(
        kind="check",
        subject="",
        severity="bad",
        sentence=f"{host.name} answers, but its health check has failed since {clock}",
        advice="See whether commands hang on the host (`ps`, `journalctl -k`): "
        "a hung disk often begins like this.",
        evidence=[
            {
                "what": "health check",
                "value": error.sentence,
                "source": "SSH",
                "since": began.isoformat(),
            }
        ],
        vms=tuple(host.vms.filter(missing_since=None)),
        since=began,
    )
    findings.report(host, trouble, now)


def _opened_at(host: Host, subject: str) -> datetime | None:
    """When the open finding began, so that its sentence stays the same from look to look."""
    return (
        Finding.objects.filter(
            host=host, kind=KIND, subject=subject, resolved_at=None, severity=Finding.Severity.BAD
        )
        .values_list("opened_at", flat=True)
        .first()
    )


def _moment(seconds: object, now: datetime) -> datetime | None:
    """A host's own time; one in the future (a clock that is wrong) is not believed."""
    if not isinstance(seconds, int | float) or not seconds:
        return None
    at = datetime.fromtimestamp(seconds, UTC)
    return at if at <= now + timedelta(seconds=5) else None


def _iso(seconds: object) -> str | None:
    if not isinstance(seconds, int | float) or not seconds:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat()
