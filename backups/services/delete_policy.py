"""Forget a policy. Copies that it made stay, and jobs that it began go on."""

from backups.models import Policy
from backups.selectors.policies import Policies
from hosts.models import VM
from labpanel.adapters import bus
from labpanel.lib.units import listed


def delete_policy(policy: Policy) -> str:
    """A sentence that says which VMs nothing saves by itself any more."""
    name = policy.name
    policy.delete()
    bus.publish("coverage")
    policies = Policies()
    bare = [vm.name for vm in VM.objects.filter(missing_since=None) if policies.of(vm) is None]
    if not bare:
        return f"The policy {name} is gone; its copies stay."
    return (
        f"The policy {name} is gone; its copies stay. Nothing saves {listed(bare)} by itself now."
    )
