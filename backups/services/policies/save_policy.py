"""Make a policy, or change one."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import time
from typing import TypedDict

from django.db import transaction
from django.utils import timezone

from backups.models import Policy, PolicyMember, Store
from backups.rules.policies.policies import PolicyFields, wrongs
from hosts.models import VM
from labpanel.adapters.redis import bus
from labpanel.lib.refusal import Refusal

# When one of these changes, what was due before by the old ones is not caught up.
_CALENDAR = ("cron", "timezone", "enabled")


class Changes(TypedDict, total=False):
    """What is to be set, as backups.models.Policy explains it; what is left out stays."""

    name: str
    is_default: bool
    enabled: bool
    cron: str
    timezone: str
    places: list[str]
    keep_last: int
    keep_daily: int
    keep_weekly: int
    keep_monthly: int
    bytes_per_second: int | None
    freeze: bool
    verify_days: int
    rehearse_days: int
    deep_days: int
    window_start: time | None
    window_end: time | None


def save_policy(policy: Policy | None, changes: Changes, vms: Sequence[VM] | None = None) -> Policy:
    """Write it down; with `vms`, these are the ones that it names from now on. A default policy
    takes that part from the one before. Raises Refusal, and then nothing was changed."""
    saved = Policy() if policy is None else Policy.objects.get(pk=policy.pk)
    before = [getattr(saved, name) for name in _CALENDAR]
    for name, value in changes.items():
        setattr(saved, name, value)
    saved.name = saved.name.strip()
    saved.places = list(dict.fromkeys(saved.places))
    _check(saved)
    with transaction.atomic():
        if saved.is_default:
            Policy.objects.exclude(pk=saved.pk).update(is_default=False)
        if before != [getattr(saved, name) for name in _CALENDAR]:
            saved.since = timezone.now()
        saved.save()
        if vms is not None:
            _name_only(saved, vms)
    bus.publish("coverage")
    return saved


def _check(policy: Policy) -> None:
    wanted = PolicyFields(
        **{field.name: getattr(policy, field.name) for field in fields(PolicyFields)}
    )
    wrong = wrongs(wanted, set(Store.objects.values_list("name", flat=True)))
    if wrong:
        raise Refusal(" ".join(wrong))
    if Policy.objects.filter(name=policy.name).exclude(pk=policy.pk).exists():
        raise Refusal(f"There already is a policy {policy.name}.", 409)


def _name_only(policy: Policy, vms: Sequence[VM]) -> None:
    policy.members.exclude(vm__in=vms).delete()
    for vm in vms:
        PolicyMember.objects.update_or_create(vm=vm, defaults={"policy": policy})
