"""Prove a generation: level 1 reads the files again, level 2 the content through QEMU."""

from typing import Any

from django.utils import timezone

from backups.models import Generation
from backups.services.identity import panel_id
from backups.services.meter import Meter
from labpanel.adapters import bus
from labpanel.adapters.mover import Export, Mover
from labpanel.adapters.nbd_relay import private_machine
from labpanel.adapters.script_session import ScriptRefused
from labpanel.adapters.store_keeper import Keeper
from labpanel.jobs import ledger
from labpanel.jobs.models import Job
from labpanel.jobs.work import Failed, Work
from labpanel.lib.refusal import Refusal

SHOWN_RANGES = 4


def ask_for_verify(generation: Generation, level: int, *, asked_by: str = "") -> Job:
    if level not in {1, 2}:
        raise Refusal("The level of a verification is 1 (files) or 2 (content).")
    if generation.state == Generation.State.MISSING:
        raise Refusal(f"{generation.key} is gone from the store {generation.store.name}.", 409)
    return ledger.open_job(
        "verify",
        f"Verify {generation.key} of {generation.vm_name} (level {level})",
        subject=f"generation:{generation.key}",
        lock_key=f"generation:{generation.key}",
        asked_by=asked_by,
        parameters={"generation": generation.key, "level": level},
    )


def verify(work: Work) -> dict[str, Any]:
    """Do the job. Damage is written down, and ends it as failed with what is wrong where."""
    generation = Generation.objects.select_related("store__host").get(
        key=work.job.parameters["generation"]
    )
    level = work.job.parameters["level"]
    store = generation.store
    with (
        private_machine(store.endpoint(), f"job-{work.job.pk}") as machine,
        Keeper(machine, store.path, panel_id(), str(store.store_id)) as keeper,
    ):
        check = files_wrong if level == 1 else content_wrong
        wrong = check(work, keeper, generation)
    _write_down(generation, level, wrong)
    if wrong:
        raise Failed(f"Generation {generation.key} of {generation.vm_name} is damaged: {wrong[0]}.")
    what = "its files are as they were written" if level == 1 else "every block is as backed up"
    return {
        "generation": generation.key,
        "level": level,
        "verified": True,
        "sentence": f"Generation {generation.key} of {generation.vm_name} is whole: {what}.",
    }


def files_wrong(work: Work, keeper: Keeper, generation: Generation) -> list[str]:
    """Level 1: what is wrong with the files, one sentence part each."""
    disks = generation.manifest["disks"]
    images = {disk["file"]: disk["sha256"] for disk in disks}
    sizes = {disk["file"]: disk["file_bytes"] for disk in disks}
    meter = Meter(work, sizes, "hashing")
    hashes = {**images, **_small_files(generation)}
    return keeper.rehash(str(generation.vm_uuid), generation.key, hashes, meter.event)


def _small_files(generation: Generation) -> dict[str, str]:
    manifest = generation.manifest
    lists = {disk["digests"]["file"]: disk["digests"]["sha256"] for disk in manifest["disks"]}
    return {**lists, **manifest["files"]}


def content_wrong(work: Work, keeper: Keeper, generation: Generation) -> list[str]:
    """Level 2: every disk read through its chain and held against its digests."""
    uuid, key = str(generation.vm_uuid), generation.key
    wrong = keeper.rehash(uuid, key, _small_files(generation), lambda _: None)
    if wrong:
        return wrong
    disks = generation.manifest["disks"]
    meter = Meter(work, {disk["target"]: disk["virtual_bytes"] for disk in disks}, "reading")
    with Mover(keeper.machine) as mover:
        for disk in disks:
            wrong += _one_disk(keeper, mover, generation, disk, meter)
    return wrong


def _one_disk(
    keeper: Keeper, mover: Mover, generation: Generation, disk: dict[str, Any], meter: Meter
) -> list[str]:
    target, file = disk["target"], disk["file"]

    def path(name: str) -> str:
        return keeper.path_of(str(generation.vm_uuid), generation.key, name)

    try:
        socket = keeper.serve(target, path(file))
    except ScriptRefused as refusal:
        return [f"{file} cannot be opened ({refusal.sentence})"]
    moved = mover.check(
        Export(socket, target), path(disk["digests"]["file"]), told=meter.of(target)
    )
    keeper.stop(socket)
    if moved.bad:
        return [f"{file} of {target} differs from what was backed up at {_spelled(moved.bad)}"]
    if moved.root != disk["root"]:
        return [f"the digests of {target} are not those of the manifest"]
    return []


def _spelled(bad: list[list[int]]) -> str:
    shown = ", ".join(f"bytes {start}–{end - 1}" for start, end in bad[:SHOWN_RANGES])
    more = len(bad) - SHOWN_RANGES
    return f"{shown} and {more} more places" if more > 0 else shown


def _write_down(generation: Generation, level: int, wrong: list[str]) -> None:
    now = timezone.now()
    if wrong:
        generation.state = Generation.State.DAMAGED
        generation.damage = "; ".join(wrong)
        generation.hashed_at = generation.verified_at = None
    elif level == 1:
        generation.hashed_at = now
    else:
        generation.verified_at = now
        generation.state, generation.damage = Generation.State.COMPLETE, ""
    generation.save(update_fields=["state", "damage", "hashed_at", "verified_at"])
    bus.publish("coverage")
