"""Hosts and VMs by what a user typed: name, UUID, or the unique beginning of either."""

from hosts.models import VM, Host
from labpanel.lib.naming import pick


def find_host(word: str) -> Host:
    """Raises Refusal (404 with the nearest names, 409 with the choices)."""
    return pick(word, "host", Host.objects.all(), lambda host: [host.name], lambda host: host.name)


def find_vm(word: str) -> VM:
    """Raises Refusal likewise. One that is missing is found only when no other is meant."""
    vms = list(VM.objects.select_related("host"))
    present = [vm for vm in vms if vm.missing_since is None]
    known = any(word in _names(vm) for vm in present)
    return pick(word, "VM", present if known else vms, _names, _label)


def _names(vm: VM) -> list[str]:
    return [vm.name, str(vm.uuid)]


def _label(vm: VM) -> str:
    return f"{vm.name} on {vm.host.name} ({str(vm.uuid)[:8]})"
