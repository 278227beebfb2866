"""How fast VMs came from one host to another, measured from what was done."""

from django.db.models import Sum

from backups.models import GenerationDisk
from backups.rules.coverage.exposure import Measure
from hosts.models import Host
from labpanel.jobs.models import Job
from labpanel.jobs.states import State
from labpanel.lib.hints import FULL
from labpanel.moves.rules.lasting import Measured

# Enough for the newest few of each pair of a home's hosts.
_JOBS, _BACKUPS = 200, 20


def measured_between(source: Host, destination: Host, way: str) -> Measured:
    """Moves in either direction, and backups over the same wire, newest first. Two queries."""
    moves: dict[bool, list[Measure]] = {True: [], False: []}
    done = Job.objects.filter(kind="move", state=State.DONE).exclude(result=None)
    for job in done.order_by("-pk").only("result", "started_at", "ended_at")[:_JOBS]:
        told = job.result or {}
        pair = {told.get("from"), told.get("to")}
        size = told.get("copied_bytes")
        if pair == {source.name, destination.name} and size and job.started_at and job.ended_at:
            seconds = (job.ended_at - job.started_at).total_seconds()
            moves[told.get("way") == way].append(Measure(size, seconds))
    return Measured(moves[True], moves[False], _backups(source, destination))


def _backups(source: Host, destination: Host) -> list[Measure]:
    """Full ones, by generation: what was read of the disks over the time that it took."""
    full = GenerationDisk.objects.filter(
        mode=FULL,
        seconds__gt=0,
        generation__source_host=source.name,
        generation__store__host=destination,
    )
    per = full.values("generation").annotate(bytes=Sum("read_bytes"), took=Sum("seconds"))
    rows = per.order_by("-generation__taken_at").values_list("bytes", "took")[:_BACKUPS]
    return [Measure(size, took) for size, took in rows]
