"""What jobs owe to hosts lay in their state_data; now each is a row of its own."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.db import migrations
from django.utils import timezone

ACTIVE = {"waiting", "running"}
# As long as an older panel came again for what was left open on a host.
LEFT_FOR = timedelta(days=30)
NOTES = {
    "prune": {"store", "drop"},
    "remove": {"begun"},
    "restore": {"asking", "beside"},
    "instant": {"asking", "beside"},
}
Row = tuple[str, int | None, dict[str, Any]]


def forwards(apps: Any, editor: Any) -> None:
    Job, Obligation = apps.get_model("jobs", "Job"), apps.get_model("jobs", "Obligation")
    for job in Job.objects.exclude(state_data={}).iterator():
        for kind, host, data in owed_by(apps, job):
            Obligation.objects.create(job=job, kind=kind, host=host, data={**data, "host": host})
        names = NOTES.get(job.kind, set()) & set(job.state_data)
        kept = {name: job.state_data[name] for name in names}
        Job.objects.filter(pk=job.pk).update(state_data=kept)


def owed_by(apps: Any, job: Any) -> Iterator[Row]:
    left, active = job.state_data, job.state in ACTIVE
    recent = active or (job.ended_at is not None and job.ended_at > timezone.now() - LEFT_FOR)
    if active:
        yield from _channels(apps)
    if job.kind == "backup":
        yield from _partial(apps, job)
    if job.kind == "move":
        yield from _move(apps, job)
    if not recent or "host" not in left:
        return
    host = left["host"]
    if job.kind == "backup":
        yield from _source(host, left)
    elif job.kind == "instant" and active:
        yield from _instant(apps, job)
    elif left.get("closed"):
        return
    elif job.kind == "rehearse" and "scratch_folder" in left:
        folders = {"scratch": left["scratch_folder"], "sockets": left.get("sockets_folder", "")}
        yield "rehearsal", host, {"uuid": left["uuid"], **folders}
    elif job.kind == "restore" and "partials" in left:
        yield _restore(job)


def _channels(apps: Any) -> Iterator[Row]:
    """Which hosts its worker was connected to is not written down: ending none does nothing."""
    for host in (None, *apps.get_model("hosts", "Host").objects.values_list("pk", flat=True)):
        yield "channel", host, {}


def _partial(apps: Any, job: Any) -> Iterator[Row]:
    left = job.state_data
    if "key" not in left or job.state == "done":
        return
    stores = apps.get_model("backups", "Store").objects.filter(pk=left["store"])
    host = stores.values_list("host", flat=True).first()
    wanted = {name: left[name] for name in ("store", "vm_uuid", "key")}
    yield "partial", host, wanted


def _source(host: int, left: dict[str, Any]) -> Iterator[Row]:
    uuid = {"uuid": left["vm_uuid"]}
    if left.get("froze") or left.get("owes_thaw"):
        yield "thaw", host, uuid
    staging, socket = left.get("staging", []), left.get("socket", "")
    if not left.get("closed") and (staging or socket):
        mark = socket or staging[0]
        files = [path for path in (socket, *left.get("scratch", []), *staging) if path]
        ran = bool(left.get("ran"))
        yield "open backup", host, {**uuid, "mark": mark, "files": files, "ran": ran}
    if not left.get("closed") and left.get("aside"):
        yield "aside folder", host, {"path": left["aside"]}
    if left.get("checkpoint"):
        yield "checkpoint", host, {**uuid, "name": left["checkpoint"], "key": left["key"]}


def _restore(job: Any) -> Row:
    left = job.state_data
    who = {"uuid": left["uuid"], "name": job.parameters["name"]}
    if "exchanges" in left:
        what = {"exchanges": left["exchanges"], "ready": bool(left.get("ready"))}
        return "replacement", left["host"], {**who, **what}
    return "restore", left["host"], {**who, "partials": left["partials"], "paths": left["paths"]}


def _instant(apps: Any, job: Any) -> Iterator[Row]:
    run = apps.get_model("backups", "InstantRun").objects.filter(job=job.pk).first()
    if run is not None:
        paths = job.state_data.get("paths", [])
        who = {"run": run.pk, "uuid": str(run.vm_uuid), "name": run.vm_name}
        yield "instant", run.host_id, {**who, "paths": paths}


def _move(apps: Any, job: Any) -> Iterator[Row]:
    left = job.state_data
    if "handover" in left and (job.state in ACTIVE or left.get("open")):
        hosts = apps.get_model("hosts", "Host").objects.filter(name=left["handover"]["source"])
        host = hosts.values_list("pk", flat=True).first() or 0
        yield "move", host, {"hand": left["handover"]}


class Migration(migrations.Migration):
    dependencies = [
        ("backups", "0007_vms_that_the_panel_made"),
        ("jobs", "0003_obligations"),
    ]

    operations = [migrations.RunPython(forwards, migrations.RunPython.noop)]
