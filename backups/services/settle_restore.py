"""Restores whose worker died, or whose host went away before all was tidied."""

from backups.services.replace import finish
from hosts.models import Host
from labpanel.adapters.hypervisor import opened
from labpanel.adapters.image_host import ImageHost
from labpanel.adapters.machine import Machine
from labpanel.adapters.nbd_relay import end_channel
from labpanel.adapters.replacer import Exchange, Replacer
from labpanel.jobs.models import Job
from labpanel.lib.units import listed

_SHORT = 15
_UNTOUCHED = "The worker died before anything was begun; nothing is left to clean up."


def restore(job: Job) -> str:
    """Remove half-filled images; a VM that was defined already stays, with its disks. In place,
    once all new images were proven, they are put in place."""
    left = job.state_data
    if "partials" not in left:
        return _UNTOUCHED
    host = Host.objects.get(pk=left["host"])
    end_channel(Machine(host.endpoint(), f"job-{job.pk}"))
    if "exchanges" in left:
        sentence = f"The worker died in the middle. {_in_place(job, host)}"
    else:
        sentence = _copy(job, host)
    left["closed"] = True  # nothing is left for a later turn
    job.save(update_fields=["state_data"])
    return sentence


def _copy(job: Job, host: Host) -> str:
    left, name = job.state_data, job.parameters["name"]
    with opened(host.endpoint()) as hypervisor:
        known = hypervisor.call("state", deadline=_SHORT, uuid=left["uuid"])["known"]
    with ImageHost(Machine(host.endpoint())) as images:
        images.remove(left["partials"])
        placed = images.existing([*left["paths"], *filter(None, [left.get("nvram")])])
    if known:
        return f"The worker died after {name} was defined on {host.name}; it is whole."
    if placed:
        return (
            f"The worker died before {name} was defined on {host.name}. Whole disks were left "
            f"at {listed(placed)}; remove them, or use them."
        )
    return f"The worker died in the middle; nothing of {name} is left on {host.name}."


def _in_place(job: Job, host: Host) -> str:
    left, name = job.state_data, job.parameters["name"]
    exchanges = [Exchange(**one) for one in left["exchanges"]]
    new = [one.new for one in exchanges]
    with ImageHost(Machine(host.endpoint())) as images:
        if not left["ready"]:
            images.remove(new)
            return f"{name} on {host.name} is as it was."
        waiting = images.existing(new)
        begun = len(waiting) < len(new) or not images.existing([exchanges[0].path])
        with opened(host.endpoint()) as hypervisor:
            state = hypervisor.call("stored", deadline=_SHORT, uuid=left["uuid"])
            if not state["known"] or (state["active"] and not begun):
                images.remove(new)
                why = "was started" if state["known"] else "was removed"
                return f"{name} {why} before its disks were put in place; they are as they were."
            with Replacer(Machine(host.endpoint())) as replacer:
                asides = finish(hypervisor, replacer, left["uuid"], exchanges)
    kept = f"; what it had is kept in {listed(asides)}" if asides else ""
    return f"{name} on {host.name} has its disks of the backup{kept}."


def tidy(job: Job, host: Host) -> None:
    """What a restore that ended could not tidy, since its host was away."""
    if "exchanges" in job.state_data:
        _in_place(job, host)
        return
    with ImageHost(Machine(host.endpoint())) as images:
        images.remove(job.state_data["partials"])
