"""The last step of a restore in place, of a run and of a settling alike."""

from collections.abc import Sequence

from backups.services.index.identity import panel_id
from labpanel.adapters.images.replacer import Exchange, Replacer
from labpanel.adapters.libvirt.uses.jobs import Restores


def exchange(
    hypervisor: Restores, replacer: Replacer, uuid: str, exchanges: Sequence[Exchange]
) -> list[str]:
    """Swap, and forget our checkpoints, whose records say nothing of the new disks. The names of
    the old images."""
    asides = replacer.swap(exchanges)
    hypervisor.drop_checkpoint_records(uuid, f"labpanel-{panel_id()[:8]}-")
    return asides
