"""What is wrong with a generation, for its page: which file, whose, where, and who shows it too."""

from dataclasses import dataclass

from backups.models import Generation
from backups.rules.copies.faults import CONTENT, FILES, from_json
from labpanel.lib.byte_spans import spelled

_HOW = {CONTENT: "reading it back", FILES: "checking its files"}


@dataclass(frozen=True, slots=True)
class Wrong:
    """`of` is the key of the generation whose file it is, empty if it is the one looked at."""

    file: str
    of: str
    disk: str
    what: str
    where: str
    found_by: str


@dataclass(frozen=True, slots=True)
class Damage:
    """`shown_by` are further generations in which what is wrong with this one's files shows;
    `helpers` names other stores that hold the VM."""

    wrong: list[Wrong]
    shown_by: list[Generation]
    helpers: list[str]
    mendable: bool


def damage_of(generation: Generation) -> Damage | None:
    """None if nothing is known to be wrong. Two queries."""
    if generation.state != Generation.State.DAMAGED:
        return None
    faults = [from_json(entry) for entry in generation.faults]
    held = Generation.objects.filter(vm_uuid=generation.vm_uuid).select_related("store")
    others = held.exclude(pk=generation.pk).exclude(state=Generation.State.MISSING)
    rows = list(others.defer("manifest"))
    return Damage(
        wrong=[
            Wrong(
                file=fault.file,
                of="" if fault.of == generation.key else fault.of,
                disk=fault.disk,
                what=fault.what,
                where=spelled(fault.ranges),
                found_by=_HOW.get(fault.level, "looking at the store"),
            )
            for fault in faults
        ],
        shown_by=[
            row for row in rows if any(entry["of"] == generation.key for entry in row.faults)
        ],
        helpers=sorted({row.store.name for row in rows if row.store_id != generation.store_id}),
        mendable=bool(faults),
    )
