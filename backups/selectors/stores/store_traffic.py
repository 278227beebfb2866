"""Which stores and VMs are being worked on just now, by the jobs of this app."""

from dataclasses import dataclass

from backups.models import Generation
from labpanel.jobs.models import Job
from labpanel.jobs.states import ACTIVE

# Kinds whose parameters name a store, and kinds whose parameters name a generation.
_OF_STORE = ("backup", "prune")
_OF_GENERATION = ("verify", "mend", "rehearse", "restore", "instant")


@dataclass(frozen=True, slots=True)
class Traffic:
    """One active job that uses a store: its kind, the VM's UUID, the store's primary key."""

    kind: str
    vm_uuid: str
    store: int


def traffic() -> list[Traffic]:
    """Two queries."""
    active = Job.objects.filter(kind__in=(*_OF_STORE, *_OF_GENERATION), state__in=ACTIVE)
    jobs = list(active.values_list("kind", "parameters"))
    keys = [asked.get("generation") for kind, asked in jobs if kind in _OF_GENERATION]
    known = {each.key: each for each in Generation.objects.filter(key__in=keys).defer("manifest")}
    found = []
    for kind, asked in jobs:
        if kind in _OF_STORE:
            found.append(Traffic(kind, asked["vm_uuid"], asked["store"]))
        elif generation := known.get(asked.get("generation")):
            found.append(Traffic(kind, str(generation.vm_uuid), generation.store_id))
    return found
