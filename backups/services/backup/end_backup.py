"""Ending what a backup opened on a source host: after a run, and for one whose worker died."""

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from labpanel.adapters.errors import Unreachable
from labpanel.adapters.images.image_host import ImageHost
from labpanel.adapters.libvirt.uses.jobs import BacksUp

# A libvirtd that is being restarted answers again within seconds.
AGAIN_SECONDS = (1, 3, 6)
Value = TypeVar("Value")


def thaw(hypervisor: BacksUp, uuid: str) -> bool:
    """Whether it is known that the guest is thawed: if not, it must be tried again."""
    return bool(patiently(lambda: hypervisor.thaw(uuid)))


def end_backup(
    hypervisor: BacksUp,
    images: ImageHost,
    uuid: str,
    mark: str,
    files: Sequence[str],
    *,
    ran: bool,
) -> None:
    """End our backup job, let a VM that `ran` go on that a write into a full file had stopped
    meanwhile, remove our files. Does nothing to a backup job without our `mark`."""
    patiently(lambda: hypervisor.abort_backup(uuid, mark))
    if ran and patiently(lambda: hypervisor.state(uuid)).stopped_by_a_write:
        hypervisor.resume(uuid)
    images.remove(list(files))


def patiently(call: Callable[[], Value]) -> Value:
    """Retry for as long as only the connection fails. For questions, and for what changes nothing
    the second time: thawing, ending our backup, removing our checkpoints."""
    for seconds in AGAIN_SECONDS:
        try:
            return call()
        except Unreachable:
            time.sleep(seconds)
    return call()
