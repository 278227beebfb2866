"""Which disks their owner took out of the backups."""

from datetime import datetime

from django.db.models import Q

from hosts.models import VM


def excluded_targets(vm: VM, now: datetime) -> list[str]:
    """Targets of the VM's disks that are out of the backups at `now`."""
    lasting = Q(until=None) | Q(until__gt=now)
    return list(vm.exclusions.filter(lasting).values_list("target", flat=True))
