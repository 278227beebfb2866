"""Little room where images lie is a finding, long before nothing fits any more."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from hosts.models import VM, FileSystem, Finding, Host, VirtualDisk
from hosts.rules.health import room as rule
from hosts.selectors.filling import days_until_full
from hosts.services.checks import recorder
from labpanel.symptoms.facts.file_systems import Little, LittleRoom
from labpanel.symptoms.kinds import Kind, Level, SubjectKind
from labpanel.symptoms.symptom import Look, Symptom, SymptomSubject


def check_room(
    host: Host,
    probes: Iterable[Mapping[str, Any]],
    vms: Mapping[str, tuple[VM, ...]],
    now: datetime,
) -> None:
    """Weigh what the probes saw of each mount point; nothing that was not seen is judged."""
    seen = {each["mount_point"]: each["room"] for each in probes if each.get("room")}
    seen.pop("", None)
    old = Finding.objects.filter(host=host, kind=Kind.ROOM, resolved_at=None)
    little = set(old.values_list("subject", flat=True))
    look = Look()
    look.is_over(Kind.ROOM, little - _held(host))
    for place, values in seen.items():
        found = rule.FreeRoom(**values)
        needs = _needs(host, place, found, now)
        judged = rule.judge(found, needs, was_little=place in little)
        if judged.little is not None:
            touched = vms.get(place, ())
            look.found.append(_symptom(host, place, judged.little, judged, touched))
        elif judged.level == "good":
            look.is_over(Kind.ROOM, [place])
    recorder.note(host, look, now)


def _held(host: Host) -> set[str]:
    """Mount points with images on them."""
    disks = _disks(host).exclude(file_system=None)
    return set(disks.values_list("file_system__mount_point", flat=True))


def _disks(host: Host) -> Any:
    return VirtualDisk.objects.filter(
        vm__host=host, vm__missing_since=None, missing_since=None, kind="file", read_only=False
    )


def _needs(host: Host, place: str, found: rule.FreeRoom, now: datetime) -> rule.RoomNeeds:
    disks = _disks(host).filter(file_system__mount_point=place).select_related("vm")
    virtual: dict[str, int] = defaultdict(int)
    growth: dict[str, int] = {}
    for disk in disks:
        capacity = disk.capacity_bytes or 0
        virtual[disk.vm.name] += capacity
        growth[disk.source] = max(0, capacity - (disk.allocation_bytes or 0)) if capacity else 0
    largest = max(virtual, key=lambda name: virtual[name], default="")
    return rule.RoomNeeds(
        backup=rule.scratch_needs(found.size, virtual[largest]) if largest else 0,
        whose=largest,
        growth=sum(growth.values()),
        left=days_until_full(host, place, found.available, now),
    )


def _symptom(
    host: Host, place: str, little: Little, judged: rule.JudgedRoom, vms: tuple[VM, ...]
) -> Symptom:
    named = FileSystem.objects.filter(host=host, mount_point=place).first()
    return Symptom(
        SymptomSubject(SubjectKind.FILE_SYSTEM, place),
        Level(judged.level),
        LittleRoom(host.name, place, named.source if named is not None else "", little),
        judged.evidence,
        tuple(vm.uuid for vm in vms),
    )
