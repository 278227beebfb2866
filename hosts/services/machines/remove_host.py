"""Forget a host and what was seen of it. The machine itself is not touched."""

from django.db import transaction
from django.db.models import ProtectedError, Q

from hosts.models import VM, Host
from labpanel.adapters.redis import bus
from labpanel.adapters.ssh.machine import Machine
from labpanel.jobs.models import Job
from labpanel.jobs.states import ACTIVE
from labpanel.lib.printable import printable
from labpanel.lib.refusal import Refusal
from labpanel.lib.units import listed

_MOST_NAMED = 6


def what_goes(host: Host) -> str:
    """What forgetting it takes away, as a sentence."""
    names = [printable(vm.name) for vm in VM.objects.filter(host=host, missing_since=None)]
    gone = f"{host.name}, its drives, the graphs and what was wrong with it"
    if not names:
        return f"The panel forgets {gone}. The machine and all backups stay as they are."
    whose, them = ("VM", "it") if len(names) == 1 else ("VMs", "them")
    return (
        f"The panel forgets {gone}, and its {whose} {_named(names)} with what was settled for "
        f"{them}: policy, disks left out, holds. The machine, its {whose} and all backups stay as "
        f"they are, but the panel does not watch {them} and does not back {them} up any more."
    )


def _named(names: list[str]) -> str:
    more = len(names) - _MOST_NAMED
    return listed([*names[:_MOST_NAMED], f"{more} more"] if more > 0 else names)


def remove(host: Host) -> str:
    """Forget it; the sentence that says so. Raises Refusal while something depends on it."""
    busy = _active_job(host)
    if busy is not None:
        raise Refusal(f"A job runs on {host.name}: {busy.title} (job {busy.pk}).", 409)
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
        machine.channel.forget()
    bus.publish("inventory")
    return sentence


def _active_job(host: Host) -> Job | None:
    uuids = VM.objects.filter(host=host).values_list("uuid", flat=True)
    subjects = [f"vm:{uuid}" for uuid in uuids]
    locks = Q(subject__in=subjects) | Q(lock_key__in=subjects)
    return Job.objects.filter(locks, state__in=ACTIVE).first()
