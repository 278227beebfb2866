"""What backs on what among one VM's generations in one store."""

from uuid import UUID

from backups.models import Generation, GenerationDisk, Store
from backups.rules.backup.lineage import Lineage


def lineages(vm_uuid: UUID, store: Store) -> dict[str, Lineage]:
    """By virtual disk, of what the store still holds; one query."""
    disks = GenerationDisk.objects.filter(generation__vm_uuid=vm_uuid, generation__store=store)
    present = disks.exclude(generation__state=Generation.State.MISSING)
    parents: dict[str, dict[str, str]] = {}
    for key, target, parent in present.values_list("generation__key", "target", "parent"):
        parents.setdefault(target, {})[key] = parent
    return {target: Lineage(of_one) for target, of_one in parents.items()}
