"""What the policy of each VM asks for: how old its newest copy may be, how long a proof counts."""

from collections.abc import Iterable
from datetime import timedelta

from backups.models import Policy
from backups.rules.coverage.coverage import Limits
from backups.selectors.policies.policies import Policies, age_limit
from hosts.models import VM

# Reading back and booting wait for their window: a day to spare before a proof counts as old.
SPARE_DAYS = 1


def limits_of(vms: Iterable[VM]) -> dict[int, Limits]:
    """By the VM's primary key; two queries however many VMs there are."""
    policies = Policies()
    of_policy = {policy.pk: _limits(policy) for policy in policies.all}
    found = {}
    for vm in vms:
        policy = policies.of(vm)
        found[vm.pk] = of_policy[policy.pk] if policy else Limits()
    return found


def _limits(policy: Policy) -> Limits:
    return Limits(
        age=age_limit(policy),
        verify=_window(policy.verify_days),
        rehearse=_window(policy.rehearse_days),
        policy=policy.name,
    )


def _window(days: int) -> timedelta | None:
    return timedelta(days=days + SPARE_DAYS) if days else None
