"""Which disks their owner took out of the backups."""

from datetime import datetime
from typing import TypedDict

from django.db.models import Q, QuerySet

from backups.models import Exclusion
from hosts.models import VM


def excluded_targets(vm: VM, now: datetime) -> list[str]:
    """Targets of the VM's disks that are out of the backups at `now`."""
    lasting = vm.exclusions.filter(Q(until=None) | Q(until__gt=now))
    since = {disk.target: disk.first_seen_at for disk in vm.disks.filter(missing_since=None)}
    return [
        each.target
        for each in lasting
        if each.target in since and speaks_of(each, since[each.target])
    ]


def speaks_of(exclusion: Exclusion, known_since: datetime) -> bool:
    """Whether the disk that its owner took out is the one that is there. Another one that was
    plugged in under its target later is new: its owner has not excluded it."""
    return known_since <= exclusion.since


def lasts(exclusion: Exclusion, now: datetime) -> bool:
    return exclusion.until is None or exclusion.until > now


def exclusion_list() -> QuerySet[Exclusion]:
    """Also those that are over; one query."""
    return Exclusion.objects.select_related("vm").order_by("vm__name", "target")


class ExclusionJson(TypedDict):
    """`until` is null without an end."""

    vm: str
    vm_uuid: str
    disk: str
    reason: str
    by: str
    since: str
    until: str | None


def as_json(exclusion: Exclusion) -> ExclusionJson:
    return {
        "vm": exclusion.vm.name,
        "vm_uuid": str(exclusion.vm.uuid),
        "disk": exclusion.target,
        "reason": exclusion.reason,
        "by": exclusion.by,
        "since": exclusion.since.isoformat(),
        "until": exclusion.until.isoformat() if exclusion.until else None,
    }
