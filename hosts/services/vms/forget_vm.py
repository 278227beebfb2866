"""Forget a VM that its host does not have any more. Its backups stay in their stores."""

from django.utils import timezone

from hosts.models import VM
from hosts.selectors.lists import MISSING, vm_row
from hosts.services.checks import recorder
from labpanel.adapters.redis import bus
from labpanel.jobs.models import Job
from labpanel.jobs.states import ACTIVE
from labpanel.lib.refusal import Refusal


def forget(vm: VM) -> str:
    """Take it off the panel's lists, with its graphs; the sentence that says so.

    Raises Refusal while its host still has it, or cannot say that it hasn't.
    """
    row = vm_row(vm, timezone.now())
    if row.state != MISSING:
        raise Refusal(
            f"{vm.name} is {row.state} on {row.host}: only a missing VM can be forgotten.", 409
        )
    busy = Job.objects.filter(lock_key=f"vm:{vm.uuid}", state__in=ACTIVE).first()
    if busy is not None:
        raise Refusal(f"A job runs on {vm.name}: {busy.title} (job {busy.pk}).", 409)
    drop(vm)
    return f"The panel forgets {vm.name} and its graphs. Its backups stay in their stores."


def drop(vm: VM) -> None:
    """Take a VM that is gone off the lists, with all that was seen of it."""
    recorder.end_of_vm(str(vm.uuid), timezone.now())
    vm.delete()
    bus.publish("inventory")
