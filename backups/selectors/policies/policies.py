"""Policies: which one takes a VM, and finding one by its name."""

from datetime import timedelta

from backups.models import Policy, PolicyMember
from backups.rules.policies import calendar
from backups.rules.policies.calendar import Calendar
from backups.selectors.policies.places import places_of
from hosts.models import VM
from labpanel.lib.naming import pick

__all__ = ["Policies", "age_limit", "calendar_of", "find_policy", "places_of", "policy_of"]


class Policies:
    """All policies and their members, read once; two queries."""

    def __init__(self) -> None:
        self.all = list(Policy.objects.all())
        self.default = next((policy for policy in self.all if policy.is_default), None)
        by_pk = {policy.pk: policy for policy in self.all}
        members = PolicyMember.objects.values_list("vm", "policy")
        self._by_vm = {vm: by_pk[policy] for vm, policy in members if policy in by_pk}

    def of(self, vm: VM) -> Policy | None:
        """The policy that names this VM, else the default one; None: no policy backs it up.
        A policy that is switched off is still its policy."""
        return self._by_vm.get(vm.pk, self.default)

    def names(self, vm: VM) -> bool:
        """Whether a policy names this VM, so that it is not the default one's."""
        return vm.pk in self._by_vm


def policy_of(vm: VM) -> Policy | None:
    """For one VM; for many use Policies."""
    return Policies().of(vm)


def calendar_of(policy: Policy) -> Calendar:
    return Calendar(policy.cron, policy.timezone)


def age_limit(policy: Policy) -> timedelta:
    """How old the newest copy of a VM may be before it is stale."""
    return calendar.age_limit(calendar_of(policy))


def find_policy(word: str) -> Policy:
    """By its name or the unique beginning of it. Raises Refusal (404, 409)."""
    return pick(word, "policy", Policy.objects.all(), lambda one: [one.name], lambda one: one.name)
