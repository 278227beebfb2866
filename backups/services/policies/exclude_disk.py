"""Take a virtual disk out of the backups, with the reason, and bring it in again."""

from datetime import datetime

from django.utils import timezone

from backups.models import Exclusion
from backups.services.index.hold import checked_reason
from hosts.models import VM
from labpanel.adapters.redis import bus
from labpanel.lib.actor import Actor
from labpanel.lib.refusal import Refusal
from labpanel.lib.units import listed


def exclude(
    vm: VM, target: str, reason: str, *, by: Actor, until: datetime | None = None
) -> Exclusion:
    """Leave the disk out of every backup from now on, until a time or without an end. One that is
    left out already gets the new reason. Raises Refusal."""
    reason = checked_reason(reason, "Say why this disk need not be saved")
    if until is not None and until <= timezone.now():
        raise Refusal(f"{until:%Y-%m-%d} is in the past; name a later day, or none.")
    present = [disk for disk in vm.disks.filter(missing_since=None) if disk.holds_data]
    targets = [disk.target for disk in present]
    if target not in targets:
        known = f"it has {listed(targets)}" if targets else "it has none that holds data"
        raise Refusal(f"{vm.name} has no disk {target!r}; {known}.", 404)
    values = {"reason": reason, "by": str(by), "since": timezone.now(), "until": until}
    kept, _ = Exclusion.objects.update_or_create(vm=vm, target=target, defaults=values)
    bus.publish("coverage")
    return kept


def include(vm: VM, target: str) -> str:
    """Bring the disk into the backups again. Raises Refusal if it was never out."""
    if not Exclusion.objects.filter(vm=vm, target=target).delete()[0]:
        raise Refusal(f"{target} of {vm.name} is not left out.", 409)
    bus.publish("coverage")
    return f"{target} of {vm.name} is saved again from its next backup on."
