"""What the policy of each VM asks for: how old its newest copy may be, how long a proof counts."""

from collections.abc import Iterable
from datetime import timedelta

from backups.models import Policy, PolicyMember
from backups.rules.coverage import Limits
from hosts.models import VM

# Reading back and booting wait for their window: a day to spare before a proof counts as old.
SPARE_DAYS = 1


def limits_of(vms: Iterable[VM]) -> dict[int, Limits]:
    """By the VM's primary key; two queries however many VMs there are."""
    default = Policy.objects.filter(is_default=True, enabled=True).first()
    named = PolicyMember.objects.select_related("policy")
    own = {each.vm_id: each.policy if each.policy.enabled else None for each in named}
    known: dict[int | None, Limits] = {}
    found = {}
    for vm in vms:
        policy = own.get(vm.pk, default)
        key = policy.pk if policy else None
        found[vm.pk] = known.setdefault(key, _limits(policy))
    return found


def _limits(policy: Policy | None) -> Limits:
    if policy is None:
        return Limits()
    return Limits(
        verify=_window(policy.verify_days),
        rehearse=_window(policy.rehearse_days),
        policy=policy.name,
    )


def _window(days: int) -> timedelta | None:
    return timedelta(days=days + SPARE_DAYS) if days else None
