"""VMs that two hosts report, where only the owner knows which of them is right."""

from hosts.models import VM, Finding
from labpanel.symptoms.kinds import Kind


def held_back(vm: VM) -> str:
    """Why nothing may be written for or over this VM now, in one sentence; or empty."""
    rows = Finding.objects.filter(kind=Kind.TWO_HOSTS, subject=str(vm.uuid), resolved_at=None)
    found = rows.first()
    if found is None:
        return ""
    return (
        f"{found.sentence} It waits until one of them no longer has it; see what is wrong on its "
        "page."
    )
