"""Hosts and VMs by what a user typed: name, UUID, or the unique beginning of either."""

from uuid import UUID

from hosts.models import VM, Host
from labpanel.lib.naming import pick
from labpanel.lib.refusal import Refusal


def find_host(word: str) -> Host:
    """Raises Refusal (404 with the nearest names, 409 with the choices)."""
    return pick(word, "host", Host.objects.all(), lambda host: [host.name], lambda host: host.name)


def local_host() -> Host | None:
    """The machine that the panel runs on, where it is a host."""
    return Host.objects.filter(target="local").first()


def find_vm(word: str) -> VM:
    """Raises Refusal likewise. One that is missing is found only when no other is meant."""
    vms = list(VM.objects.select_related("host"))
    if _is_uuid(word) and not any(str(vm.uuid) == word or vm.name == word for vm in vms):
        raise Refusal(f"There is no VM with the UUID {word}.", 404)
    present = [vm for vm in vms if vm.missing_since is None]
    known = any(word in _names(vm) for vm in present)
    return pick(word, "VM", present if known else vms, _names, _label)


def _is_uuid(word: str) -> bool:
    try:
        return str(UUID(word)) == word
    except ValueError:
        return False


def _names(vm: VM) -> list[str]:
    return [vm.name, str(vm.uuid)]


def _label(vm: VM) -> str:
    return f"{vm.name} on {vm.host.name} ({str(vm.uuid)[:8]})"
