"""A generation's manifest as rows. The store holds the truth; this may run again at any time.

A look at one store changes the rows of that store only, and never what a generation is: a folder
that tells otherwise is at fault, and what was known stays. But a name that another store only
claims hides no copy that this panel signed.
"""

from collections.abc import Iterable

from django.db import transaction
from django.utils import timezone

from backups.models import Generation, GenerationDisk, Store
from backups.rules.backup.spans import lists
from backups.rules.copies.faults import LOOK, Fault, InspectedGeneration
from backups.rules.copies.trust import FORGED_WHAT
from backups.services.index.forget_pruned import take_manifest
from backups.services.index.know_again import told_again
from backups.services.index.record_faults import record_faults
from backups.services.index.signing import judged, signed
from hosts.models import VM
from labpanel.lib.byte_spans import spelled
from labpanel.lib.store_format.manifest import DiskEntry, Manifest
from labpanel.lib.store_format.names import MANIFEST
from labpanel.lib.store_format.signature import SignatureVerdict

_ANOTHER = "tells of another copy than the one that the panel knows by this name"


class Misplaced(Exception):
    """The folder bears the name of a generation that lies in another store, or of another VM."""


@transaction.atomic
def index_generation(store: Store, found: Manifest, damage: str = "") -> Generation:
    """Write down what a manifest says, once; later only the state is brought up to date. Raises
    Misplaced; then nothing was written."""
    known = Generation.objects.filter(key=found.generation).select_related("store").first()
    verdict = judged(found)
    if known is not None and _gives_way(known, store, found, verdict):
        _put_aside(known, store)
        known = None
    if known is None:
        known = _new(store, found, verdict)
    elif known.store_id != store.pk:
        raise Misplaced(_of_another(known, verdict))
    elif str(known.vm_uuid) != found.vm_uuid:
        raise Misplaced(f"a generation of this name is one of {known.vm_name}")
    else:
        damage = _known_again(known, found, verdict) or damage
    if known.trust == Generation.Trust.FORGED:
        damage = f"{MANIFEST} {FORGED_WHAT}"
    _mark(known, damage or lacking(found.disks))
    return known


def _gives_way(known: Generation, store: Store, found: Manifest, verdict: SignatureVerdict) -> bool:
    """Whether a name is taken from the one that has it: a signed copy from one that is not vouched
    for, and any from such a one that is gone. What a VM runs on stays."""
    elsewhere = known.store_id != store.pk or str(known.vm_uuid) != found.vm_uuid
    if not elsewhere or known.trust == Generation.Trust.SIGNED or known.instant_runs.exists():
        return False
    return verdict is SignatureVerdict.OURS or known.state == Generation.State.MISSING


def _put_aside(known: Generation, store: Store) -> None:
    """The folder that bore the name is named at once: the next look at its store is far off."""
    other = known.store
    if known.state != Generation.State.MISSING and other.pk != store.pk:
        what = f"the store {store.name} has the signed generation of this name"
        named = f"{known.vm_uuid}/{known.key}/ ({what})"
        Store.objects.filter(pk=other.pk).update(strangers=[*other.strangers, named])
    known.delete()


def _of_another(known: Generation, verdict: SignatureVerdict) -> str:
    what = f"a generation of this name lies in the store {known.store.name}"
    if known.trust == Generation.Trust.SIGNED or verdict is not SignatureVerdict.NONE:
        return what
    return (
        f"{what}, and neither carries this panel's signature: look who can write to the two "
        f"stores, and remove the folder of the one that you did not put there"
    )


def _new(store: Store, found: Manifest, verdict: SignatureVerdict) -> Generation:
    """Of a store that was never looked at everything is new, and unsigned if it is another panel's:
    later such a copy is one that others have put there."""
    unsigned = Generation.Trust.STRANGE if store.looked_at else Generation.Trust.UNSIGNED
    trusts = {
        SignatureVerdict.OURS: Generation.Trust.SIGNED,
        SignatureVerdict.FORGED: Generation.Trust.FORGED,
    }
    generation = Generation.objects.create(
        key=found.generation,
        store=store,
        vm=VM.objects.filter(uuid=found.vm_uuid).first(),
        vm_uuid=found.vm_uuid,
        vm_name=found.vm_name,
        source_host=found.host,
        taken_at=found.taken_at,
        consistency=found.consistency,
        manifest=found,
        left_out=None if found.left_out is None else [one.as_json() for one in found.left_out],
        trust=trusts.get(verdict, unsigned),
    )
    GenerationDisk.objects.bulk_create(
        told_again(_disk(generation, disk), disk) for disk in found.disks
    )
    return generation


def _known_again(known: Generation, found: Manifest, verdict: SignatureVerdict) -> str:
    """What is wrong with what the store says of a known generation; else what merging changed in it
    is taken over. The panel's own signature stays where the store has lost it."""
    if verdict is SignatureVerdict.FORGED and known.trust != Generation.Trust.FORGED:
        return f"{MANIFEST} {FORGED_WHAT}"
    if not found.is_of_same(known.manifest):
        return f"{MANIFEST} {_ANOTHER}"
    whole = found
    read_once = known.trust == Generation.Trust.UNSIGNED and known.verified_at is not None
    if verdict is not SignatureVerdict.OURS and (
        known.trust == Generation.Trust.SIGNED or read_once
    ):
        whole = signed(whole)
    take_manifest(known, whole)
    if verdict is SignatureVerdict.OURS or read_once:
        known.trust = Generation.Trust.SIGNED
        known.save(update_fields=["trust"])
    return ""


def lacking(disks: Iterable[DiskEntry]) -> str:
    """What the source could not read, as the damage of the generation."""
    return "; ".join(
        f"{disk.target} lacks {spelled(disk.unreadable)}, which its source could not read"
        for disk in disks
        if disk.unreadable
    )


def _disk(generation: Generation, disk: DiskEntry) -> GenerationDisk:
    return GenerationDisk(
        generation=generation,
        target=disk.target,
        source=disk.source,
        mode=disk.mode,
        why=disk.why,
        parent=disk.parent,
        unreadable=lists(disk.unreadable),
        missed=lists(disk.missed),
        virtual_bytes=disk.virtual_bytes,
        read_bytes=disk.read_bytes,
        written_bytes=disk.file_bytes,
        seconds=disk.seconds,
        chain=list(disk.chain),
        inode=str(disk.inode) if disk.inode else "",
    )


def mark_damage(store: Store, key: str, damage: str) -> None:
    """What a look at the store saw to be wrong with a generation that it knows, if it knows it."""
    if damage and store.generations.filter(key=key).exists():
        record_faults({key: [looked(key, damage)]}, {}, timezone.now())


def _mark(generation: Generation, damage: str) -> None:
    """Damage that a look finds is taken back by a look that finds none; what a verification
    found stays until the next verification. A generation that lies there is not missing."""
    back = generation.state == Generation.State.MISSING
    if back:
        generation.state = Generation.State.COMPLETE
        generation.save(update_fields=["state"])
    if back or damage or any(fault["level"] == LOOK for fault in generation.faults):
        record_faults({generation.key: [looked(generation.key, damage)]}, {}, timezone.now())
        generation.refresh_from_db()


def looked(key: str, damage: str) -> InspectedGeneration:
    """What a look at the store saw of a generation; no damage takes back what another look saw."""
    faults = [Fault(LOOK, key, "", damage)] if damage else []
    return InspectedGeneration(faults, frozenset({LOOK}))
