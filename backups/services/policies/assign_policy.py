"""Say which policy takes a VM."""

from backups.models import Policy, PolicyMember
from backups.services.index import failed_work
from hosts.models import VM
from labpanel.adapters.redis import bus


def assign(vm: VM, policy: Policy | None) -> str:
    """Name the VM in this policy alone; None gives it back to the default one. Returns what is so
    now, as a sentence."""
    if policy is None:
        PolicyMember.objects.filter(vm=vm).delete()
        default = Policy.objects.filter(is_default=True).first()
        said = (
            f"{vm.name} is saved by the default policy {default.name} now."
            if default
            else f"No policy saves {vm.name} now: there is no default one."
        )
    else:
        PolicyMember.objects.update_or_create(vm=vm, defaults={"policy": policy})
        said = f"{vm.name} is saved by the policy {policy.name} now."
    failed_work.forget_unasked()
    bus.publish("coverage")
    return said
