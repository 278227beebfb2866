"""Ask for the removal of a VM that the panel made: remove_vm.py does it."""

from dataclasses import dataclass

from django.utils import timezone

from backups.models import MadeVM
from hosts.models import VM
from hosts.selectors.lists import MISSING, vm_row
from labpanel.jobs.ledger import open_job
from labpanel.jobs.models import Job
from labpanel.jobs.states import ACTIVE
from labpanel.lib.actor import PANEL, Actor
from labpanel.lib.refusal import Refusal


@dataclass(frozen=True, slots=True)
class RemovalRequest:
    """`typed` is the VM's name as its owner typed it, asked for before images are deleted, and for
    a VM that is not a trial.
    `switch_off`: a VM that runs is cut off first."""

    images: bool = False
    typed: str = ""
    switch_off: bool = False


def ask_remove(vm: VM, wish: RemovalRequest, asked_by: Actor = PANEL) -> Job:
    """Open the job. Raises Refusal for what the panel did not make or cannot remove now."""
    made = MadeVM.objects.filter(vm_uuid=vm.uuid, host=vm.host).first()
    if made is None:
        raise Refusal(_not_ours(vm), 409)
    typed = wish.typed.strip() == vm.name
    if wish.images and not typed:
        raise Refusal(
            f"Deleting the images of {vm.name} cannot be taken back: type its name, {vm.name}, to "
            "confirm it. Nothing was removed."
        )
    if not made.is_copy and not typed:
        raise Refusal(
            f"{vm.name} is not a trial: it goes on for the VM that it was brought back for. Type "
            f"its name, {vm.name}, to remove it all the same. Nothing was removed."
        )
    row = vm_row(vm, timezone.now())
    if not row.is_known and row.state != MISSING:
        raise Refusal(f"{vm.name} is {row.state}: {row.reason}", 409)
    if row.is_on and not wish.switch_off:
        raise Refusal(
            f"{vm.name} is {row.state}: shut it down first, or have it switched off (what it has "
            "not written is lost).",
            409,
        )
    _must_be_idle(vm)
    return open_job(
        "remove",
        f"Remove {vm.name} from {vm.host.name}{' with its images' if wish.images else ''}",
        subject=f"vm:{vm.uuid}",
        lock_key=f"vm:{vm.uuid}",
        asked_by=asked_by,
        parameters={
            "made": made.pk,
            "uuid": str(vm.uuid),
            "name": vm.name,
            "host": vm.host_id,
            "images": wish.images,
            "switch_off": wish.switch_off,
        },
    )


def _not_ours(vm: VM) -> str:
    elsewhere = MadeVM.objects.filter(vm_uuid=vm.uuid).select_related("host").first()
    if elsewhere is not None:
        return (
            f"{vm.name} was made by the panel on {elsewhere.host.name} and is on {vm.host.name} "
            "now, where the panel has no proof of which files are its own. Remove it there by hand."
        )
    return (
        f"{vm.name} was not made by this panel, or before the panel kept record of it. It removes "
        f"only what it made: `virsh undefine` on {vm.host.name} removes a VM by hand."
    )


def _must_be_idle(vm: VM) -> None:
    """A restore holds another lock while it brings the VM up."""
    busy = Job.objects.filter(subject=f"vm:{vm.uuid}", state__in=ACTIVE).first()
    if busy is not None:
        raise Refusal(f"{vm.name} is being worked on: {busy.title} (job {busy.pk}).", 409)
