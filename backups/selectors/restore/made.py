"""VMs that the panel made, as their pages offer to remove them."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from backups.models import Generation, MadeVM
from hosts.models import VM


@dataclass(frozen=True, slots=True)
class MadeRow:
    """`trial`: it has an identity of its own beside the VM of the copy it came from; else it took
    that VM's place. `origin` is the VM of the copy, `copies` are those that stores keep of it."""

    uuid: UUID
    trial: bool
    made_at: datetime
    origin: str
    taken_at: datetime | None
    paths: tuple[str, ...]
    copies: int


def made_vm(vm: VM) -> MadeRow | None:
    """None for what the panel did not make on this host."""
    row = MadeVM.objects.filter(vm_uuid=vm.uuid, host=vm.host_id).first()
    if row is None:
        return None
    source = Generation.objects.filter(key=row.generation).first()
    return MadeRow(
        uuid=row.vm_uuid,
        trial=row.is_copy,
        made_at=row.made_at,
        origin=source.vm_name if source else "",
        taken_at=source.taken_at if source else None,
        paths=tuple(str(file["path"]) for file in row.files),
        copies=Generation.objects.filter(vm_uuid=vm.uuid).count(),
    )
