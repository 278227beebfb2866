"""Hosts to which a VM may move as far as is stored: no button leads to a refusal that was known.

The plan asks the hosts themselves and may still find more (labpanel/moves/services/plan.py).
"""

from datetime import datetime

from hosts.models import VM, Host, VirtualDisk
from hosts.rules.health.presence import of_vm
from hosts.rules.health.suspects import is_suspect
from hosts.selectors.findings import ill_hosts, open_findings
from hosts.selectors.lists import presences
from hosts.selectors.machines import same_machine
from labpanel.jobs.models import Job
from labpanel.jobs.states import ACTIVE
from labpanel.moves.selectors.unsettled import unsettled

_FORMATS = {"raw", "qcow2"}  # as in hosts/rules/fit.py
_STAYS = {VM.State.CRASHED, VM.State.SHUTDOWN, VM.State.NOSTATE}


def move_targets(vm: VM, now: datetime) -> list[Host]:
    """By name; empty where the VM itself cannot travel now."""
    findings = open_findings()
    if not _travels(vm, now):
        return []
    if any(is_suspect(each.kind, each.severity) and vm in each.vms.all() for each in findings):
        return []
    ill = ill_hosts(findings)
    others = Host.objects.exclude(pk=vm.host_id).prefetch_related("vms")
    well = (host for host in others if host.pk not in ill and not same_machine(host, vm.host))
    return [host for host in well if _takes(host, vm, now)]


def _travels(vm: VM, now: datetime) -> bool:
    if vm.missing_since is not None or not vm.persistent or vm.state in _STAYS:
        return False
    if not of_vm(*presences(vm.host, now)).is_up:
        return False
    busy = Job.objects.filter(lock_key=f"vm:{vm.uuid}", state__in=ACTIVE)
    if busy.exists() or unsettled(str(vm.uuid)).exists():
        return False
    disks = vm.disks.filter(missing_since=None)
    return all(_goes_along(disk) for disk in disks if disk.device in {"disk", "lun"})


def _goes_along(disk: VirtualDisk) -> bool:
    if disk.shareable:
        return False
    return disk.kind == "network" or (disk.kind == "file" and disk.format in _FORMATS)


def _takes(host: Host, vm: VM, now: datetime) -> bool:
    there = [each for each in host.vms.all() if each.missing_since is None]
    if not of_vm(*presences(host, now)).is_up or any(each.name == vm.name for each in there):
        return False
    if host.memory_bytes is None or not vm.is_on:
        return True
    taken = sum(each.memory_bytes for each in there if each.is_on)
    return host.memory_bytes - taken >= vm.memory_bytes
