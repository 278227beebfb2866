"""Switch a VM off where it runs, right before its copy starts elsewhere: none runs twice."""

from django.utils import timezone

from hosts.models import VM
from hosts.services.inventory.inventory import take_inventory
from labpanel.adapters.errors import AdapterError
from labpanel.adapters.libvirt.hypervisor import opened
from labpanel.jobs.models import Job
from labpanel.jobs.states import ACTIVE
from labpanel.jobs.work import Failed, Work
from labpanel.lib.quoted import quoted


def stop_source(work: Work) -> str:
    """Cut its power if the job asks for it; a sentence that says so, empty where nothing was done.

    Raises Failed if it may still run: then nothing may start elsewhere.
    """
    pk = work.job.parameters.get("stop")
    vm = VM.objects.select_related("host").filter(pk=pk).first() if pk else None
    if vm is None:
        return ""
    moving = Job.objects.filter(kind="move", lock_key=f"vm:{vm.uuid}", state__in=ACTIVE)
    if moving.exists():
        raise Failed(f"{vm.name} is being moved; it was not switched off, and nothing was started.")
    try:
        return _stop(work, vm)
    except AdapterError as error:
        raise Failed(
            f"{vm.name} was not switched off on {vm.host.name}, so nothing was started: "
            f"{error.sentence}",
            error.detail,
        ) from error
    finally:
        take_inventory(vm.host, timezone.now())  # what is so now, whatever came of it


def _stop(work: Work, vm: VM) -> str:
    uuid = str(vm.uuid)
    with opened(vm.host.endpoint()) as hypervisor:
        if hypervisor.state(uuid).is_over:
            return ""
        hypervisor.destroy(uuid)
        after = hypervisor.state(uuid)
    if not after.is_over:
        raise Failed(
            f"{vm.name} still runs on {vm.host.name} although its power was cut; nothing was "
            "started."
        )
    said = f"{vm.name} on {vm.host.name} is switched off; its disks there stay as they are."
    if vm.autostart:
        said += f" {_stay_off(vm)}"
    work.line(said)
    return said


def _stay_off(vm: VM) -> str:
    """Or it would run beside its copy as soon as its host is started again."""
    try:
        with opened(vm.host.endpoint()) as hypervisor:
            hypervisor.set_autostart(str(vm.uuid), on=False)
    except AdapterError as error:
        return (
            f"It starts again with {vm.host.name}: set its autostart off when that is mended "
            f"({quoted(error.sentence)})."
        )
    return f"It does not start with {vm.host.name} any more (its autostart is off)."
