"""Words for what work on images and stores met, and for backups and rehearsals that failed."""

from collections.abc import Sequence
from datetime import datetime

from labpanel.lib.byte_spans import spelled
from labpanel.lib.io_fault import Access
from labpanel.lib.units import listed
from labpanel.symptoms.facts.copies import (
    CorruptImage,
    FailedBackup,
    FailedRehearsal,
    ImageFault,
    StoreFault,
)
from labpanel.symptoms.words.wording import Wording, clock

_TRIED = {
    Access.READ: "could not read",
    Access.WRITE: "could not write",
    Access.UNKNOWN: "could not work on",
}


def fault(facts: ImageFault | StoreFault) -> str:
    """Without its time: "alpha could not read bytes 0–4095 of /srv/images/a.raw (vda of home)",
    "The store far (/srv/store on beta) could not read bytes 0–4095 of …/vda.qcow2"."""
    spans = f"{spelled(facts.spans)} of " if facts.spans else ""
    if isinstance(facts, ImageFault):
        where = f"{facts.path or 'an image'} ({facts.disk})"
        return f"{facts.host} {_TRIED[facts.access]} {spans}{where}"
    where = facts.file or "a file"
    return f"The store {facts.store} ({facts.where}) {_TRIED[facts.access]} {spans}{where}"


def image_fault(facts: ImageFault, now: datetime) -> Wording:
    what = (
        "Look at the drive below it now. A move would carry the damage along: bring its VMs back "
        "from their newest copies on another host instead."
    )
    if facts.access is Access.WRITE:
        what = "Look at the drive and the file system below it now: what is written may be lost."
    return Wording(f"{fault(facts)}, at {clock(facts.at, now)}", f"{_held(facts.vms)}{what}")


def store_fault(facts: StoreFault, now: datetime) -> Wording:
    return Wording(
        f"{fault(facts)}, at {clock(facts.at, now)}",
        f"{_held(facts.vms)}Look at the drive below the store now, and back up to another store: "
        "what lies in this one may be lost.",
    )


def _held(vms: Sequence[str]) -> str:
    if not vms:
        return ""
    return f"Nothing of {listed(list(vms))} is pruned until you release it (`./panel release`). "


def corrupt_image(facts: CorruptImage) -> Wording:
    return Wording(
        f"QEMU has marked the image of {facts.target} of {facts.vm} as corrupt "
        f"({', '.join(facts.paths)}). A backup holds what could be read.",
        "QEMU does not write to such an image any more. Look at it with `qemu-img check`, keep the "
        "copies that you have, and restore the newest good one if the disk cannot be mended.",
    )


def failed_backup(facts: FailedBackup) -> Wording:
    return Wording(
        f"{facts.vm} was not backed up to {facts.store}: {facts.outcome}".rstrip("."),
        "Until a backup succeeds, what changed since the copy before is kept nowhere "
        "else. Mend what the sentence names, then back it up again.",
    )


def failed_rehearsal(facts: FailedRehearsal) -> Wording:
    return Wording(
        f"{facts.vm} was not rehearsed from {facts.store}: {facts.outcome}".rstrip("."),
        "Until a rehearsal passes, it is not known whether this copy starts. Look at "
        "what it showed, then rehearse it again, or back it up anew.",
    )
