"""All VMs as API and command line list them, worst first: what libvirt says, and how they are."""

from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict

from backups.selectors.coverage.coverage import coverage
from hosts.models import VM, Host
from hosts.rules.health.condition import ORDER, Condition
from hosts.selectors.findings import open_findings
from hosts.selectors.lists import MISSING, VMJson, VMRow, vm_row
from labpanel.home.selectors.conditions import row_condition
from labpanel.home.selectors.copies import by_vm, copy_state


class ConditionJson(TypedDict):
    level: str
    words: str


class ListedVMJson(VMJson):
    """A VM of the list, and how it is."""

    condition: ConditionJson


@dataclass(frozen=True, slots=True)
class ListedVM:
    row: VMRow
    condition: Condition

    def as_json(self) -> ListedVMJson:
        """VMRow's shape, with `"condition": {"level", "words"}`."""
        said: ConditionJson = {"level": self.condition.level, "words": self.condition.words}
        return {**self.row.as_json(), "condition": said}


def listed_vms(now: datetime, host: Host | None = None) -> list[ListedVM]:
    """Worst first, then by name; those that are missing come last. A constant number of queries."""
    vms = VM.objects.select_related("host").prefetch_related("disks")
    if host is not None:
        vms = vms.filter(host=host)
    findings, copies = open_findings(host), by_vm(coverage(now, host=host))
    found = []
    for vm in vms:
        row, copy = vm_row(vm, now), copy_state(copies.get(vm.uuid, []), now)
        known = row.is_known or row.state == MISSING
        found.append(ListedVM(row, row_condition(vm, findings, copy, known=known)))
    return sorted(found, key=_order)


def _order(one: ListedVM) -> tuple[bool, int, str, str]:
    row = one.row
    return row.state == MISSING, ORDER.index(one.condition.level), row.name, str(row.uuid)
