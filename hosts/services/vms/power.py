"""Start, shut down, reboot, reset, switch off and resume a VM, as a job of the ledger.

libvirt's shutdown and reboot are requests to the guest: the job waits until the guest has done it.
"""

import time
from typing import Any

from django.utils import timezone

from hosts.models import VM
from hosts.selectors.lists import VMRow, vm_row
from hosts.services.inventory.inventory import take_inventory
from labpanel.adapters.libvirt.hypervisor import opened
from labpanel.adapters.libvirt.uses.power import Powers
from labpanel.jobs import work
from labpanel.jobs.ledger import open_job
from labpanel.jobs.models import Job
from labpanel.jobs.work import Failed, Work
from labpanel.lib.actor import PANEL, Actor
from labpanel.lib.refusal import Refusal
from labpanel.lib.shapes import Progress
from labpanel.lib.vm_state import PAUSED

GUEST_SECONDS = 120  # a guest may take its time to stop its services
POLL_SECONDS = 1
ASK_AGAIN_SECONDS = 20  # an ACPI event during the boot is lost
# QEMU tries again what failed as soon as it is resumed.
FAILS_AGAIN_SECONDS = 3

# verb → (title, what it needs: on, off or paused)
VERBS = {
    "start": ("Start", "off"),
    "shutdown": ("Shut down", "on"),
    "reboot": ("Reboot", "on"),
    "reset": ("Reset", "on"),
    "destroy": ("Switch off", "on"),
    "resume": ("Resume", "paused"),
}


def ask(vm: VM, verb: str, asked_by: Actor = PANEL) -> Job:
    """Open the job. Raises Refusal for what cannot be, Busy when another job has the VM."""
    if verb not in VERBS:
        raise Refusal(f"{verb!r} is nothing to do to a VM: {', '.join(VERBS)}.")
    row = vm_row(vm, timezone.now())
    if not row.is_known:
        raise Refusal(f"{vm.name} is {row.state}: {row.reason}", 409)
    title, needs = VERBS[verb]
    if against := _against(row, needs):
        raise Refusal(against, 409)
    return open_job(
        "power",
        f"{title} {vm.name}",
        subject=f"vm:{vm.uuid}",
        lock_key=f"vm:{vm.uuid}",
        asked_by=asked_by,
        parameters={"vm": vm.pk, "verb": verb},
    )


def _against(row: VMRow, needs: str) -> str:
    """Why this cannot be done to a VM in its state; empty where it can."""
    paused = row.state == PAUSED
    if needs == "paused":
        return "" if paused else f"{row.name} is not paused: it is {row.state}."
    if needs == "off" and paused:
        return f"{row.name} is on, and paused: resume it."
    if needs == "off" and row.is_on:
        return f"{row.name} is {row.state} already."
    if needs == "on" and not row.is_on:
        return f"{row.name} is not on: it is {row.state}."
    return ""


def perform(job_id: int) -> None:
    work.perform(job_id, _do)


def _do(work: Work) -> dict[str, Any]:
    vm = VM.objects.select_related("host").get(pk=work.job.parameters["vm"])
    verb = work.job.parameters["verb"]
    work.progress(Progress(phase="asking libvirt"))
    with opened(vm.host.endpoint()) as hypervisor:
        try:
            _tell(hypervisor, verb, str(vm.uuid))
            if verb == "shutdown":
                _wait_until_off(work, hypervisor, vm)
            if verb == "resume":
                _see_it_run(hypervisor, vm)
        finally:
            take_inventory(vm.host, timezone.now())
    return {"sentence": _sentence(vm, verb), "vm": vm.name, "verb": verb}


def _tell(hypervisor: Powers, verb: str, uuid: str) -> None:
    match verb:
        case "start":
            hypervisor.start(uuid)
        case "shutdown":
            hypervisor.shutdown(uuid)
        case "reboot":
            hypervisor.reboot(uuid)
        case "reset":
            hypervisor.reset(uuid)
        case "destroy":
            hypervisor.destroy(uuid)
        case "resume":
            hypervisor.resume(uuid)
        case _:
            raise Failed(f"{verb!r} is nothing to do to a VM.")


def _wait_until_off(work: Work, hypervisor: Powers, vm: VM) -> None:
    work.progress(Progress(phase="waiting for the guest"))
    began = asked = time.monotonic()
    while time.monotonic() - began < GUEST_SECONDS:
        work.check()
        if hypervisor.state(str(vm.uuid)).is_over:
            return
        if time.monotonic() - asked > ASK_AGAIN_SECONDS:
            asked = time.monotonic()
            hypervisor.shutdown(str(vm.uuid))
        time.sleep(POLL_SECONDS)
    raise Failed(
        f"{vm.name} was asked to shut down but still runs after {GUEST_SECONDS} s. Its guest may "
        "ignore the power button; switch it off if it must be off."
    )


def _see_it_run(hypervisor: Powers, vm: VM) -> None:
    """A VM whose disk fails as before is paused again at once."""
    began = time.monotonic()
    while time.monotonic() - began < FAILS_AGAIN_SECONDS:
        time.sleep(POLL_SECONDS)
        now = hypervisor.state(str(vm.uuid))
        if now.paused:
            raise Failed(
                f"{vm.name} was resumed and is paused again ({now.reason}): what stopped it is not "
                "mended yet. Nothing is lost; mend its disk, then resume it again."
            )


def _sentence(vm: VM, verb: str) -> str:
    name, host = vm.name, vm.host.name
    return {
        "start": f"{name} runs on {host}.",
        "shutdown": f"{name} is shut down.",
        "reboot": f"{name} was asked to reboot.",
        "reset": f"{name} was reset: its guest starts again.",
        "destroy": f"{name} is switched off.",
        "resume": f"{name} goes on on {host}.",
    }[verb]


def settle(job: Job) -> str:
    """What is true of the VM now. Nothing is done again: the owner decides."""
    vm = VM.objects.select_related("host").filter(pk=job.parameters["vm"]).first()
    if vm is None:
        return "The panel stopped in the middle; the VM is not known any more."
    with opened(vm.host.endpoint()) as hypervisor:
        now = hypervisor.state(str(vm.uuid))
    state = now.state if now.known else f"gone from {vm.host.name}"
    return f"The panel stopped in the middle; {vm.name} is {state} now."
