"""May a record of what changed on a disk be trusted as a hint? Pure: facts in, hint and reason out.

QEMU's dirty bitmap knows what went through that QEMU process since the bitmap was begun, nothing
else. So it counts only for the same process with the same image open, or for an image that no
program else can have written since that process closed it. In doubt everything is read: that costs
time, never a block.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from labpanel.lib.disks import SourceDisk
from labpanel.lib.hints import BITMAP, DEEP, FULL, READ, UNCHANGED, Hint
from labpanel.lib.source_facts import ImageFacts, LastRun
from labpanel.lib.store_format.manifest import Manifest

# The log's line of a shutdown follows QEMU's closing of its images at once; libvirt gives the
# files back to their owner right after it, which changes their ctime.
_OWNER_BACK_SECONDS = 10.0
# A process begins within this of the line "starting up" (its start is known to a hundredth of a
# second, the time of boot to a second).
_BEGAN_SECONDS = 3.0
_PROCESS = re.compile(r"[0-9a-f-]+:[0-9]{1,9}:[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class ParentDisk:
    """A disk as the generation has it that its new image will back on (its `manifest.json`)."""

    generation: str
    host: str
    boot: str = ""
    checkpoint: str = ""
    source: str = ""
    node: str = ""
    virtual_bytes: int = 0
    stamps: tuple[int, ...] = ()
    chain: tuple[str, ...] = ()
    taken_at: datetime | None = None


def kept_of(manifest: Manifest, target: str) -> ParentDisk | None:
    """What a manifest tells of one disk; None if it does not hold that disk."""
    disk = manifest.disk(target)
    if disk is None:
        return None
    return ParentDisk(
        generation=manifest.generation,
        host=manifest.host,
        boot=_process_name(manifest.boot),
        checkpoint=manifest.checkpoint,
        source=disk.source,
        node=disk.node,
        virtual_bytes=disk.virtual_bytes,
        stamps=disk.stamps,
        chain=disk.chain,
        taken_at=manifest.taken_at,
    )


def _process_name(text: str) -> str:
    """ "<boot id>:<pid>:<start ticks>", or empty if it is anything else."""
    return text if _PROCESS.fullmatch(text) else ""


@dataclass(frozen=True, slots=True)
class CurrentVM:
    """The VM as it stands: on which host, in which QEMU process (`boot`, empty if it is off).
    `doubts` are libvirt's words against a checkpoint, by its name; missing: not proven. `moved_at`
    is when it last came from another host, or was last known there."""

    name: str
    host: str
    boot: str = ""
    doubts: Mapping[str, str] = field(default_factory=dict)
    last_run: LastRun = field(default_factory=LastRun)
    moved_at: datetime | None = None

    def process_since(self, kept: ParentDisk) -> str:
        """Why its process is not the one of that generation, as a sentence."""
        moved = self.moved_at and kept.taken_at and self.moved_at > kept.taken_at
        what = f"was moved to {self.host}" if moved else "was started anew"
        return f"{self.name} {what} since generation {kept.generation}."


def of_running(
    now: CurrentVM,
    disk: SourceDisk,
    size: int,
    image: ImageFacts,
    kept: ParentDisk | None,
    *,
    deep: bool,
) -> Hint:
    """The hint for one disk of a running VM; `size` is its virtual size in bytes."""
    if kept is None:
        return first(disk)
    against = (
        _same_disk(now, disk, size, kept)
        or _no_bitmaps(disk, image)
        or _process(now, kept)
        or _node(disk, kept)
        or _record(now, disk, kept)
    )
    return _hint(against, kept, f"qemu:dirty-bitmap:backup-{disk.target}", deep=deep)


def of_off(
    now: CurrentVM,
    disk: SourceDisk,
    size: int,
    image: ImageFacts,
    kept: ParentDisk | None,
    *,
    deep: bool,
) -> Hint:
    """The hint for one disk of a VM that is off."""
    if kept is None:
        return first(disk)
    elsewhere = _same_disk(now, disk, size, kept)
    if not elsewhere and image.stamps and image.stamps == kept.stamps:
        if deep:
            return Hint(DEEP, "A deep run reads everything, though the image was not touched.")
        return Hint(UNCHANGED, f"The image was not touched since generation {kept.generation}.")
    against = elsewhere or _no_bitmaps(disk, image) or _written_after(now, disk, image, kept)
    return _hint(against, kept, f"qemu:dirty-bitmap:{kept.checkpoint}", deep=deep)


def first(disk: SourceDisk) -> Hint:
    return Hint(FULL, f"Nothing is kept of {disk.target} in this store yet.")


def _hint(against: str, kept: ParentDisk, context: str, *, deep: bool) -> Hint:
    if against:
        return Hint(DEEP if deep else READ, against)
    if deep:
        why = (
            f"A deep run reads everything and holds the record since {kept.generation} against it."
        )
        return Hint(DEEP, why, context)
    return Hint(BITMAP, f"QEMU recorded what changed since generation {kept.generation}.", context)


def _same_disk(now: CurrentVM, disk: SourceDisk, size: int, kept: ParentDisk) -> str:
    if kept.host != now.host:
        return f"{now.name} was on {kept.host} at generation {kept.generation}."
    if kept.source != disk.source:
        return _other_image(disk, kept)
    if kept.virtual_bytes != size:
        return f"{disk.target} was resized since generation {kept.generation}."
    return ""


def _other_image(disk: SourceDisk, kept: ParentDisk) -> str:
    """A snapshot that came or went leaves no record of what changed; it is the same disk still."""
    since = f"since generation {kept.generation}"
    if kept.source in {path for path, _ in disk.chain}:
        return f"A snapshot put {disk.source} on top of {disk.target}'s image {since}."
    if disk.source in kept.chain:
        return f"A snapshot of {disk.target} was merged into {disk.source} {since}."
    return f"{disk.target} had another image at generation {kept.generation}: {kept.source}."


def _no_bitmaps(disk: SourceDisk, image: ImageFacts) -> str:
    if disk.format != "qcow2":
        return f"{disk.target} is {disk.format}, which carries no record of what changed."
    if not image.holds_bitmaps:
        return f"{disk.target} is an old qcow2 image (compat 0.10), which carries no record."
    return ""


def _process(now: CurrentVM, kept: ParentDisk) -> str:
    if not kept.boot:
        return f"{now.name} was off at generation {kept.generation}: no record was begun."
    if kept.boot != now.boot:
        return now.process_since(kept)
    if not kept.checkpoint:
        return f"No record of what changes was begun at generation {kept.generation}."
    return ""


def _node(disk: SourceDisk, kept: ParentDisk) -> str:
    if kept.node != disk.node:
        return f"{disk.target} was plugged anew since generation {kept.generation}."
    return ""


def _record(now: CurrentVM, disk: SourceDisk, kept: ParentDisk) -> str:
    words = now.doubts.get(kept.checkpoint, "it was not proven")
    if words and (f"'{disk.target}'" in words or "for disk '" not in words):
        return f"The record of what changed on {disk.target} is lost or broken ({words})."
    return ""


def _written_after(now: CurrentVM, disk: SourceDisk, image: ImageFacts, kept: ParentDisk) -> str:
    """Why the bitmap in the image of a shut-off VM does not tell all, or empty.

    It does if the process in which it was begun was the last one, closed it in good order, and the
    file was not written since (what that process wrote last is older than the log's line).
    """
    if not kept.boot or not kept.checkpoint:
        return f"No record of what changes was begun at generation {kept.generation}."
    run = now.last_run
    if not run.ended_at or run.boot_id != kept.boot.split(":", 1)[0]:
        return f"The log of {now.name} does not show how it was shut off."
    if abs(run.process_start(kept.boot) - run.started_at) > _BEGAN_SECONDS:
        return now.process_since(kept)
    if image.bitmaps.get(kept.checkpoint) is not True:
        return f"The record of what changed on {disk.target} is lost or was not closed."
    late = image.changed_at > run.ended_at + _OWNER_BACK_SECONDS
    if not image.written_at or image.written_at > run.ended_at or late:
        return f"The image of {disk.target} was written to while {now.name} was off."
    return ""


def begins_record(disk: SourceDisk, image: ImageFacts, snapshots: int) -> bool:
    """Whether to begin a record (a bitmap) on this disk of a running VM.

    Not while the VM has libvirt snapshots: QEMU refuses to load one of an image that has a bitmap
    ("Device has active dirty bitmaps"), and libvirt, which has ended the VM by then, leaves it off.
    """
    return not snapshots and disk.format == "qcow2" and image.holds_bitmaps


def checkpoint_name(panel_id: str, store_id: str, key: str) -> str:
    """Ours by its beginning, and one line of records for each store."""
    return f"{_prefix(panel_id, store_id)}{key}"


def strays(
    names: Sequence[str], panel_id: str, store_id: str, keep: str, stores: Sequence[str]
) -> list[str]:
    """Of a VM's checkpoints those of ours that nothing needs: of this store all but `keep`, and
    all of stores that this panel does not have any more. Anybody else's is never among them."""
    ours = panel_prefix(panel_id)
    alive = tuple(_prefix(panel_id, other) for other in stores if other != store_id)
    return [
        name
        for name in names
        if name.startswith(ours) and name != keep and not name.startswith(alive)
    ]


def panel_prefix(panel_id: str) -> str:
    """How the names of all of a panel's checkpoints begin."""
    return f"labpanel-{panel_id[:8]}-"


def _prefix(panel_id: str, store_id: str) -> str:
    return f"{panel_prefix(panel_id)}{store_id[:8]}-"
