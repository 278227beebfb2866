"""Forget a policy. Copies that it made stay, and jobs that it began go on."""

from backups.models import Policy
from backups.selectors.policies.policies import Policies
from backups.services.index import failed_work
from hosts.models import VM
from labpanel.adapters.redis import bus
from labpanel.lib.units import listed


def delete_policy(policy: Policy) -> str:
    """A sentence that says which VMs no policy backs up any more."""
    name = policy.name
    policy.delete()
    failed_work.forget_unasked()
    bus.publish("coverage")
    policies = Policies()
    bare = [vm.name for vm in VM.objects.filter(missing_since=None) if policies.of(vm) is None]
    if not bare:
        return f"The policy {name} is gone; its copies stay."
    return f"The policy {name} is gone; its copies stay. No policy backs up {listed(bare)} now."
