"""Which VMs are held: nothing of them is pruned while their source is suspect."""

from typing import TypedDict

from django.db.models import QuerySet

from backups.models import Hold
from hosts.models import VM


def held(vm: VM) -> Hold | None:
    """The hold on this VM, if there is one."""
    return vm.holds.filter(released_at=None).first()


def hold_list() -> QuerySet[Hold]:
    """All that last; one query."""
    return Hold.objects.filter(released_at=None).select_related("vm").order_by("vm__name")


def why(hold: Hold) -> str:
    """As in "kept: …"."""
    return f"{hold.vm.name} is held since {hold.since:%Y-%m-%d %H:%M} UTC: {hold.reason}"


class HoldJson(TypedDict):
    vm: str
    vm_uuid: str
    reason: str
    by: str
    since: str


def as_json(hold: Hold) -> HoldJson:
    return {
        "vm": hold.vm.name,
        "vm_uuid": str(hold.vm.uuid),
        "reason": hold.reason,
        "by": hold.by,
        "since": hold.since.isoformat(),
    }
