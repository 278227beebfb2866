"""Read a few old blocks of a host's images: what a write probe cannot see is found before a backup,
or the guest, meets it."""

import time
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from hosts.models import VM, Finding, Host, Reading, VirtualDisk
from hosts.services.checks import odd_answers, readings, recorder
from labpanel.adapters.errors import AdapterError
from labpanel.adapters.looks import old_blocks
from labpanel.adapters.looks.old_blocks import OldBlockRead, Range
from labpanel.lib.single_flight import single_flight
from labpanel.symptoms.facts.file_systems import UnreadableBlocks
from labpanel.symptoms.kinds import Kind, Level, SubjectKind
from labpanel.symptoms.symptom import Evidence, Look, Symptom, SymptomSubject

TURN_SECONDS = 60
# Of one image: what else is bad shows when these have been mended, or by reading all of it.
MOST_KNOWN = 4


def check_old_blocks(host: Host) -> None:
    """One look. A host that does not answer is the probe's to report, not ours."""
    with single_flight(f"old-blocks:{host.pk}") as mine:
        if not mine:
            return
        paths = _images(host)
        if not paths:
            return
        turn = int(time.time() // TURN_SECONDS)
        try:
            found, odd = old_blocks.look(host.endpoint(), of_turn(paths, turn), _again(host), turn)
        except AdapterError:
            return
        with transaction.atomic():
            weigh(host, found, timezone.now())
            odd_answers.note(host, "old blocks", odd, timezone.now())


def weigh(host: Host, found: Iterable[OldBlockRead], now: datetime) -> None:
    """Bad ranges are kept until they were read well again; then the finding is over."""
    known, look = _known(host), Look()
    over = set(known) - set(_images(host))
    fresh: dict[str, dict[Range, str]] = defaultdict(dict)
    for each in found:
        path = each.range.path
        if each.outcome == "unreadable":
            fresh[path][each.range] = each.error
        elif each.outcome == "ok" and each.range.length:
            known.get(path, {}).pop(each.range, None)
    for path in {*known, *fresh} - over:
        bad = {**known.get(path, {}), **fresh[path]}
        if not bad:
            over.add(path)
            continue
        kept = dict(sorted(bad.items(), key=lambda row: row[0].first)[:MOST_KNOWN])
        _note(host, path, kept, now)
        look.found.append(_symptom(host, path, kept))
    for path in over:
        _note(host, path, {}, now)
    look.is_over(Kind.UNREADABLE, over)
    recorder.note(host, look, now)


def _images(host: Host) -> list[str]:
    """Images of the host's VMs that lie in files, and what they back on."""
    found: set[str] = set()
    for source, chain in _disks(host).values_list("source", "backing_chain"):
        found |= {path for path in (source, *chain) if path.startswith("/")}
    return sorted(found)


def of_turn(paths: list[str], turn: int) -> list[str]:
    """As many as one look takes; the next ones the next time."""
    first = turn * old_blocks.MOST_IMAGES % len(paths) if len(paths) > old_blocks.MOST_IMAGES else 0
    return [*paths[first:], *paths[:first]][: old_blocks.MOST_IMAGES]


def _disks(host: Host) -> QuerySet[VirtualDisk]:
    return VirtualDisk.objects.filter(
        vm__host=host, vm__missing_since=None, missing_since=None, kind="file", device="disk"
    )


def _known(host: Host) -> dict[str, dict[Range, str]]:
    """Path → bad ranges, of the findings that are open."""
    paths = Finding.objects.filter(host=host, kind=Kind.UNREADABLE, resolved_at=None)
    found: dict[str, dict[Range, str]] = {}
    for path in paths.values_list("subject", flat=True):
        row = Reading.objects.filter(host=host, kind=Kind.UNREADABLE, subject=path).first()
        rows = row.value["ranges"] if row is not None else []
        found[path] = {Range(path, first, length): error for first, length, error in rows}
    return found


def _again(host: Host) -> list[Range]:
    return [each for ranges in _known(host).values() for each in ranges]


def _note(host: Host, path: str, bad: dict[Range, str], now: datetime) -> None:
    rows = [[each.first, each.length, error] for each, error in bad.items()]
    readings.record(host, {(Kind.UNREADABLE, path): {"ranges": rows}}, now)


def _symptom(host: Host, path: str, bad: dict[Range, str]) -> Symptom:
    vms = _touched(host, path)
    first = min(bad, key=lambda each: each.first)
    last = first.first + first.length - 1
    names = tuple(vm.name for vm in vms)
    return Symptom(
        SymptomSubject(SubjectKind.IMAGE, path),
        Level.BAD,
        UnreadableBlocks(host.name, path, first.first, last, names),
        tuple(
            Evidence(
                f"bytes {each.first} to {each.first + each.length - 1}",
                error,
                "read past the cache (O_DIRECT)",
            )
            for each, error in bad.items()
        ),
        tuple(vm.uuid for vm in vms),
    )


def _touched(host: Host, path: str) -> tuple[VM, ...]:
    found = {
        disk.vm.pk: disk.vm
        for disk in _disks(host).select_related("vm")
        if path in {disk.source, *disk.backing_chain}
    }
    return tuple(found.values())
