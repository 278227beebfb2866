"""How each VM is, in a few words: host, VM and copies in one (hosts/rules/condition.py)."""

from collections.abc import Sequence

from hosts.models import VM, Finding
from hosts.rules.health.condition import Condition, Touch, condition, worst_of
from labpanel.home.selectors.copies import CopyState


def own_condition(vm: VM, findings: Sequence[Finding], *, known: bool) -> Condition:
    """Without its copies. `findings` come worst first, with their VMs; no query."""
    return condition(
        state=vm.state,
        on=vm.is_on,
        missing=vm.missing_since is not None,
        known=known,
        touches=[
            Touch(each.kind, each.severity, each.about) for each in findings if vm in each.vms.all()
        ],
    )


def row_condition(
    vm: VM, findings: Sequence[Finding], copy: CopyState, *, known: bool
) -> Condition:
    return worst_of(own_condition(vm, findings, known=known), copy.level, copy.words)
