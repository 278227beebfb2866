"""Reading a running VM: libvirt's pull backup, served by QEMU on a unix socket of its host."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from backups.models import Generation
from backups.rules import hints, scratch
from backups.services.closing import close_source
from backups.services.source import PAUSED, Facts, Opened, Plan
from backups.services.watching import Place, Watch, place_of
from labpanel.adapters import backup_xml
from labpanel.adapters.errors import AdapterError
from labpanel.adapters.hypervisor import Hypervisor
from labpanel.adapters.image_host import ImageHost
from labpanel.adapters.mover import Export
from labpanel.adapters.source_host import SourceHost
from labpanel.jobs.work import Failed, Work
from labpanel.lib.hints import DEEP, READ, Hint
from labpanel.lib.source_facts import ImageFacts

# A guest's agent that has not frozen its file systems by then is left alone.
FREEZE_SECONDS = 10
_PROVING = 60


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen before the instant: the QEMU process, the images, and the hints from it."""

    boot: str
    hints: dict[str, Hint]
    records: tuple[str, ...]


@contextlib.contextmanager
def pulled(
    work: Work,
    hypervisor: Hypervisor,
    images: ImageHost,
    source: SourceHost,
    facts: Facts,
    tag: str,
    plan: Plan,
) -> Iterator[Opened]:
    folder = images.domain_folder(facts.id)
    if not folder:
        raise Failed(f"libvirt's folder of the running {facts.name} was not found on its host.")
    socket = f"{folder}/{tag}"
    place, reserve = _reserved(hypervisor, images, facts)
    files = {disk.target: f"{place.path}/.{tag}-{disk.target}.scratch" for disk in facts.disks}
    seen = look(hypervisor, images, source, facts, plan)
    watch = Watch(hypervisor, source, facts, place, reserve.limit)
    name = plan.checkpoint if seen.records else ""
    ran = facts.state != PAUSED
    work.remember(socket=socket, scratch=list(files.values()), froze=True, ran=ran, checkpoint=name)
    try:
        watch.begin(socket, list(files.values()))
        answer = begin(hypervisor, facts, plan, _ways(socket, files, seen, plan, name))
        if answer["thawed"]:
            source.thawed()
        work.remember(froze=False, owes_thaw=not answer["thawed"])
        yield _opened(answer, socket, seen, plan, facts, watch)
    except (AdapterError, Failed) as error:
        if not work.job.state_data["froze"]:  # a guest that may be frozen is thawed first
            watch.explain(error)
        raise
    finally:
        thawed = close_source(hypervisor, images, facts.uuid, work.job.state_data)
        work.remember(closed=True, owes_thaw=not thawed)
        with contextlib.suppress(AdapterError):  # it is gone already: nothing is open any more
            source.release()


def _reserved(
    hypervisor: Hypervisor, images: ImageHost, facts: Facts
) -> tuple[Place, scratch.Reserve]:
    place = place_of(images, facts)
    virtual = sum(facts.sized(hypervisor, images).values())
    available, whole = place.available_bytes, place.size_bytes
    if not scratch.enough(available, whole, virtual):
        raise Failed(
            f"{place.path} has too little room ({available >> 20} MiB free) for what "
            f"{facts.name} overwrites while it is backed up; make room there, or shut it down."
        )
    return place, scratch.reserve(available, whole, virtual)


def look(
    hypervisor: Hypervisor, images: ImageHost, source: SourceHost, facts: Facts, plan: Plan
) -> Look:
    """The hints, with each checkpoint that one relies on proven by libvirt."""
    boot = source.boot(facts.name, facts.uuid)
    known = source.images([(disk.source, disk.format) for disk in facts.disks])
    begun = {kept.checkpoint for kept in plan.kept.values() if kept.checkpoint}
    doubts = {
        name: hypervisor.call(
            "prove_checkpoint", deadline=_PROVING, uuid=facts.uuid, checkpoint=name
        )
        for name in sorted(begun)
    }
    now = hints.Now(facts.name, plan.host, boot, doubts)
    sizes = facts.sized(hypervisor, images)

    def hint(target: str, image: ImageFacts) -> Hint:
        disk = next(disk for disk in facts.disks if disk.target == target)
        kept = plan.kept.get(target)
        return hints.of_running(now, disk, sizes[target], image, kept, deep=plan.deep)

    pairs = list(zip(facts.disks, known, strict=True))
    return Look(
        boot,
        {disk.target: hint(disk.target, image) for disk, image in pairs},
        tuple(
            disk.target
            for disk, image in pairs
            if hints.begins_record(disk, image, facts.snapshots)
        ),
    )


def _ways(
    socket: str, files: Mapping[str, str], seen: Look, plan: Plan, name: str
) -> list[dict[str, str]]:
    """What to ask of libvirt, the best first: a record that it refuses costs a full read, and one
    that it will not begin costs the next run a full read, never this backup."""
    since = {
        target: plan.kept[target].checkpoint for target, hint in seen.hints.items() if hint.context
    }
    full = backup_xml.pull_description(socket, files)
    checkpoint = backup_xml.checkpoint_description(name, seen.records) if name else ""
    ways = [{"xml": full, "checkpoint": checkpoint, "name": name}]
    if since:
        some = backup_xml.pull_description(socket, files, since)
        ways.insert(0, {"xml": some, "checkpoint": checkpoint, "name": name})
    if name:
        ways.append({"xml": full, "checkpoint": "", "name": ""})
    return ways


def begin(
    hypervisor: Hypervisor, facts: Facts, plan: Plan, ways: list[dict[str, str]]
) -> dict[str, Any]:
    """backup_begin's answer, and `at`, the instant, and the `way` itself."""
    freeze = plan.freeze and facts.state != PAUSED
    at = datetime.now(UTC)
    answer: dict[str, Any] = hypervisor.call(
        "backup_begin",
        deadline=FREEZE_SECONDS * 2 + 30,
        uuid=facts.uuid,
        ways=ways,
        freeze_seconds=FREEZE_SECONDS if freeze else 0,
    )
    return {**answer, "at": at, "way": ways[answer["way"]]}


def _opened(
    answer: dict[str, Any], socket: str, seen: Look, plan: Plan, facts: Facts, watch: Watch
) -> Opened:
    kinds = Generation.Consistency
    trusted = "incremental=" in answer["way"]["xml"]
    found = seen.hints if trusted else refused(seen.hints, answer["refused"], deep=plan.deep)
    return Opened(
        exports={disk.target: Export(socket, disk.target) for disk in facts.disks},
        hints=found,
        taken_at=answer["at"],
        consistency=kinds.QUIESCED if answer["quiesced"] else kinds.CRASH,
        note=answer["why_not"],
        look=watch.look,
        boot=seen.boot,
        checkpoint=answer["way"]["name"],
        checkpoint_xml=answer["checkpoint_xml"],
        nodes={disk.target: disk.node for disk in facts.disks},
    )


def refused(found: dict[str, Hint], words: list[str], *, deep: bool) -> dict[str, Hint]:
    """The hints without the records that libvirt did not take after all."""
    if not words:
        return found
    why = f"libvirt refused the record of what changed: {words[0]}"
    read = Hint(DEEP if deep else READ, why)
    return {target: read if hint.context else hint for target, hint in found.items()}
