"""Start, shut down, reboot and switch off a VM, as a job of the ledger.

libvirt's shutdown and reboot are requests to the guest: the job waits until the guest has done it.
"""

import time
from typing import Any

from django.utils import timezone

from hosts.models import VM
from hosts.selectors.lists import vm_row
from hosts.services.inventory import take_inventory
from labpanel.adapters.domain_xml import STATES
from labpanel.adapters.hypervisor import Hypervisor, opened
from labpanel.jobs import work
from labpanel.jobs.ledger import open_job
from labpanel.jobs.models import Job
from labpanel.jobs.work import Failed, Work
from labpanel.lib.refusal import Refusal
from labpanel.lib.shapes import Progress

DEADLINE = 20
GUEST_SECONDS = 120  # a guest may take its time to stop its services
POLL_SECONDS = 1
ASK_AGAIN_SECONDS = 20  # an ACPI event during the boot is lost
SHUT_OFF = STATES.index("shut off")
CRASHED = STATES.index("crashed")

# verb → (title, the call, what it needs: on or off)
VERBS = {
    "start": ("Start", "start", "off"),
    "shutdown": ("Shut down", "shutdown", "on"),
    "reboot": ("Reboot", "reboot", "on"),
    "destroy": ("Switch off", "destroy", "on"),
}


def ask(vm: VM, verb: str, asked_by: str = "") -> Job:
    """Open the job. Raises Refusal for what cannot be, Busy when another job has the VM."""
    if verb not in VERBS:
        raise Refusal(f"{verb!r} is nothing to do to a VM: {', '.join(VERBS)}.")
    row = vm_row(vm, timezone.now())
    if not row.is_known:
        raise Refusal(f"{vm.name} is {row.state}: {row.reason}", 409)
    title, _, needs = VERBS[verb]
    if row.is_on != (needs == "on"):
        raise Refusal(
            f"{vm.name} is {row.state} already."
            if needs == "off"
            else f"{vm.name} is not on: it is {row.state}.",
            409,
        )
    return open_job(
        "power",
        f"{title} {vm.name}",
        subject=f"vm:{vm.uuid}",
        lock_key=f"vm:{vm.uuid}",
        asked_by=asked_by,
        parameters={"vm": vm.pk, "verb": verb},
    )


def perform(job_id: int) -> None:
    work.perform(job_id, _do)


def _do(work: Work) -> dict[str, Any]:
    vm = VM.objects.select_related("host").get(pk=work.job.parameters["vm"])
    verb = work.job.parameters["verb"]
    _, call, _ = VERBS[verb]
    work.progress(Progress(phase="asking libvirt"))
    with opened(vm.host.endpoint()) as hypervisor:
        try:
            hypervisor.call(call, deadline=DEADLINE, uuid=str(vm.uuid))
            if verb == "shutdown":
                _wait_until_off(work, hypervisor, vm)
        finally:
            take_inventory(vm.host, timezone.now())
    return {"sentence": _sentence(vm, verb), "vm": vm.name, "verb": verb}


def _wait_until_off(work: Work, hypervisor: Hypervisor, vm: VM) -> None:
    work.progress(Progress(phase="waiting for the guest"))
    began = asked = time.monotonic()
    while time.monotonic() - began < GUEST_SECONDS:
        work.check()
        answer = hypervisor.call("state", deadline=DEADLINE, uuid=str(vm.uuid))
        if not answer["known"] or answer["state"] in {SHUT_OFF, CRASHED}:
            return
        if time.monotonic() - asked > ASK_AGAIN_SECONDS:
            asked = time.monotonic()
            hypervisor.call("shutdown", deadline=DEADLINE, uuid=str(vm.uuid))
        time.sleep(POLL_SECONDS)
    raise Failed(
        f"{vm.name} was asked to shut down but still runs after {GUEST_SECONDS} s. Its guest may "
        "ignore the power button; switch it off if it must be off."
    )


def _sentence(vm: VM, verb: str) -> str:
    name, host = vm.name, vm.host.name
    return {
        "start": f"{name} runs on {host}.",
        "shutdown": f"{name} is shut down.",
        "reboot": f"{name} was asked to reboot.",
        "destroy": f"{name} is switched off.",
    }[verb]


def settle(job: Job) -> str:
    """What is true of the VM now. Nothing is done again: the owner decides."""
    vm = VM.objects.select_related("host").filter(pk=job.parameters["vm"]).first()
    if vm is None:
        return "The panel stopped in the middle; the VM is not known any more."
    with opened(vm.host.endpoint()) as hypervisor:
        answer = hypervisor.call("state", deadline=DEADLINE, uuid=str(vm.uuid))
    state = STATES[answer["state"]] if answer["known"] else f"gone from {vm.host.name}"
    return f"The panel stopped in the middle; {vm.name} is {state} now."
