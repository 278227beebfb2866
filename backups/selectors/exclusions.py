"""Which disks their owner took out of the backups."""

from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet

from backups.models import Exclusion
from hosts.models import VM


def excluded_targets(vm: VM, now: datetime) -> list[str]:
    """Targets of the VM's disks that are out of the backups at `now`."""
    lasting = Q(until=None) | Q(until__gt=now)
    return list(vm.exclusions.filter(lasting).values_list("target", flat=True))


def exclusion_list() -> QuerySet[Exclusion]:
    """Also those that are over; one query."""
    return Exclusion.objects.select_related("vm").order_by("vm__name", "target")


def as_json(exclusion: Exclusion) -> dict[str, Any]:
    return {
        "vm": exclusion.vm.name,
        "vm_uuid": str(exclusion.vm.uuid),
        "disk": exclusion.target,
        "reason": exclusion.reason,
        "by": exclusion.by,
        "since": exclusion.since.isoformat(),
        "until": exclusion.until.isoformat() if exclusion.until else None,
    }
