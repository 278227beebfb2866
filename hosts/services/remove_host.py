"""Forget a host and what was seen of it. The machine itself is not touched."""

from django.db import transaction
from django.db.models import ProtectedError, Q

from hosts.models import VM, Host
from labpanel.adapters import bus
from labpanel.adapters.machine import Machine
from labpanel.jobs.models import Job
from labpanel.jobs.states import ACTIVE
from labpanel.lib.refusal import Refusal


def what_goes(host: Host) -> str:
    """What forgetting it takes away, as a sentence."""
    vms = VM.objects.filter(host=host).count()
    whose = {0: "", 1: ", its VM"}.get(vms, f", its {vms} VMs")
    return (
        f"The panel forgets {host.name}{whose} and the graphs. The machine, its VMs and all "
        "backups stay as they are."
    )


def remove(host: Host) -> str:
    """Forget it; the sentence that says so. Raises Refusal while something depends on it."""
    busy = _active_job(host)
    if busy is not None:
        raise Refusal(f"{host.name} is at work: {busy.title} (job {busy.pk}).", 409)
    sentence = what_goes(host)
    endpoint = host.endpoint()
    try:
        with transaction.atomic():
            host.delete()
    except ProtectedError as kept:
        names = ", ".join(sorted(str(thing) for thing in kept.protected_objects))
        raise Refusal(
            f"{host.name} is needed for {names}. Remove a store first (its files stay); a VM that "
            f"runs on blocks of a backup must have pulled them in.",
            409,
        ) from kept
    machine = Machine(endpoint)
    machine.close()
    if not endpoint.is_local:
        machine.channel.known_hosts().unlink(missing_ok=True)
    bus.publish("inventory")
    return sentence


def _active_job(host: Host) -> Job | None:
    uuids = VM.objects.filter(host=host).values_list("uuid", flat=True)
    subjects = [f"vm:{uuid}" for uuid in uuids]
    locks = Q(subject__in=subjects) | Q(lock_key__in=subjects)
    return Job.objects.filter(locks, state__in=ACTIVE).first()
