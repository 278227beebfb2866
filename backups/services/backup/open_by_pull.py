"""Reading a running VM: libvirt's pull backup, served by QEMU on a unix socket of its host."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from backups.models import Generation
from backups.rules.backup import hints, scratch
from backups.services.backup.backup_guard import BackupWatch, GrowthFolder
from backups.services.backup.close_source import close_source
from backups.services.backup.owed import FrozenGuest, NewCheckpoint, OpenBackup
from backups.services.backup.set_aside import RoomWanted
from backups.services.backup.source import Facts, OpenDisks, SourcePlan
from labpanel.adapters.errors import AdapterError
from labpanel.adapters.images.image_host import ImageHost
from labpanel.adapters.images.mover import Export
from labpanel.adapters.images.source_host import SourceHost
from labpanel.adapters.libvirt.uses.backups import BackupBegun, Way
from labpanel.adapters.libvirt.uses.jobs import BacksUp
from labpanel.adapters.libvirt.words import no_agent
from labpanel.adapters.libvirt.xml import backup_xml
from labpanel.jobs.work import Failed, Work
from labpanel.lib.hints import DEEP, READ, Hint
from labpanel.lib.source_facts import ImageFacts
from labpanel.lib.vm_state import PAUSED

# A guest's agent that has not frozen its file systems by then is left alone.
FREEZE_SECONDS = 10


@dataclass(frozen=True, slots=True)
class SourceLook:
    """What was seen before the instant: the QEMU process, the images, and the hints from it."""

    boot: str
    hints: dict[str, Hint]
    records: tuple[str, ...]
    images: dict[str, ImageFacts]


@contextlib.contextmanager
def pulled(
    work: Work,
    hypervisor: BacksUp,
    images: ImageHost,
    source: SourceHost,
    facts: Facts,
    tag: str,
    plan: SourcePlan,
    place: GrowthFolder,
) -> Iterator[OpenDisks]:
    """`place` takes the scratch files."""
    folder = images.domain_folder(facts.run) if facts.run is not None else ""
    if not folder:
        raise Failed(f"libvirt's folder of the running {facts.name} was not found on its host.")
    socket = f"{folder}/{tag}"
    virtual = sum(facts.sized(hypervisor, images).values())
    reserve = scratch.reserve(place.available_bytes, place.size_bytes, virtual)
    files = {disk.target: f"{place.path}/.{tag}-{disk.target}.scratch" for disk in facts.disks}
    seen = look(hypervisor, images, source, facts, plan)
    watch = BackupWatch(hypervisor, source, facts, place, reserve.limit)
    name = plan.checkpoint if seen.records else ""
    ran = facts.state != PAUSED
    if name:
        work.owe(NewCheckpoint(plan.host_key, facts.uuid, name, plan.key))
    mine = (socket, *files.values())
    work.owe(OpenBackup(plan.host_key, facts.uuid, mark=socket, files=mine, ran=ran))
    work.owe(FrozenGuest(plan.host_key, facts.uuid))
    begun = False
    try:
        watch.begin(socket, list(files.values()))
        started = begin(hypervisor, facts, plan, _ways(socket, files, seen, plan, name))
        begun = True
        if started.begun.thawed:
            work.no_longer_owes(FrozenGuest)
            source.thawed()
        yield _opened(started, socket, seen, plan, facts, watch)
    except (AdapterError, Failed) as error:
        if begun:  # a guest that may be frozen is thawed first
            watch.explain(error)
        raise
    finally:
        close_source(work, hypervisor, images)
        with contextlib.suppress(AdapterError):  # it is gone already: nothing is open any more
            source.release()


def wanted(virtual_bytes: int, facts: Facts) -> RoomWanted:
    """What scratch asks of a place; `virtual_bytes` of all disks."""
    return RoomWanted(
        f"what {facts.name} overwrites while it is backed up",
        lambda available, whole: scratch.enough(available, whole, virtual_bytes),
        f", or shut {facts.name} down",
    )


def look(
    hypervisor: BacksUp, images: ImageHost, source: SourceHost, facts: Facts, plan: SourcePlan
) -> SourceLook:
    """The hints, with each checkpoint that one relies on proven by libvirt."""
    boot = source.boot(facts.name, facts.uuid)
    known = facts.seen_images(source)
    begun = {kept.checkpoint for kept in plan.kept.values() if kept.checkpoint}
    doubts = {name: hypervisor.prove_checkpoint(facts.uuid, name) for name in sorted(begun)}
    now = hints.CurrentVM(facts.name, plan.host, boot, doubts, moved_at=plan.moved_at)
    sizes = facts.sized(hypervisor, images)

    def hint(target: str, image: ImageFacts) -> Hint:
        disk = next(disk for disk in facts.disks if disk.target == target)
        kept = plan.kept.get(target)
        return hints.of_running(now, disk, sizes[target], image, kept, deep=plan.deep)

    pairs = [(disk, known[disk.target]) for disk in facts.disks]
    return SourceLook(
        boot,
        {disk.target: hint(disk.target, image) for disk, image in pairs},
        tuple(
            disk.target
            for disk, image in pairs
            if hints.begins_record(disk, image, facts.snapshots)
        ),
        known,
    )


def _ways(
    socket: str, files: Mapping[str, str], seen: SourceLook, plan: SourcePlan, name: str
) -> list[Way]:
    """What to ask of libvirt, the best first: a record that it refuses costs a full read, and one
    that it will not begin costs the next run a full read, never this backup."""
    since = {
        target: plan.kept[target].checkpoint for target, hint in seen.hints.items() if hint.context
    }
    full = backup_xml.pull_description(socket, files)
    checkpoint = backup_xml.checkpoint_description(name, seen.records) if name else ""
    ways = [Way(full, checkpoint, name)]
    if since:
        some = backup_xml.pull_description(socket, files, since)
        ways.insert(0, Way(some, checkpoint, name))
    if name:
        ways.append(Way(full))
    return ways


@dataclass(frozen=True, slots=True)
class Started:
    """A backup that libvirt began, when it was asked to, and in which way it did."""

    begun: BackupBegun
    at: datetime
    way: Way


def begin(hypervisor: BacksUp, facts: Facts, plan: SourcePlan, ways: list[Way]) -> Started:
    freeze = plan.freeze and facts.state != PAUSED
    at = datetime.now(UTC)
    seconds = FREEZE_SECONDS if freeze else 0
    begun = hypervisor.backup_begin(facts.uuid, ways, freeze_seconds=seconds)
    return Started(begun, at, ways[begun.way])


def _opened(
    started: Started,
    socket: str,
    seen: SourceLook,
    plan: SourcePlan,
    facts: Facts,
    watch: BackupWatch,
) -> OpenDisks:
    kinds = Generation.Consistency
    begun = started.begun
    trusted = "incremental=" in started.way.xml
    found = seen.hints if trusted else refused(seen.hints, begun.refused, deep=plan.deep)
    return OpenDisks(
        exports={disk.target: Export(socket, disk.target) for disk in facts.disks},
        hints=found,
        taken_at=started.at,
        consistency=kinds.QUIESCED if begun.quiesced else kinds.CRASH,
        note=no_agent(begun.why_not),
        look=watch.look,
        boot=seen.boot,
        checkpoint=started.way.name,
        checkpoint_xml=begun.checkpoint_xml,
        nodes={disk.target: disk.node for disk in facts.disks},
        images=seen.images,
    )


def refused(found: dict[str, Hint], words: Sequence[str], *, deep: bool) -> dict[str, Hint]:
    """The hints without the records that libvirt did not take after all."""
    if not words:
        return found
    why = f"libvirt refused the record of what changed: {words[0]}"
    read = Hint(DEEP if deep else READ, why)
    return {target: read if hint.context else hint for target, hint in found.items()}
