"""Write one round of samples: one short transaction, whatever the number of subjects."""

from collections.abc import Mapping
from typing import NamedTuple

from django.db import connection, transaction

from hosts.models import Sample10s, Subject
from hosts.rules.samples.rates import headline
from labpanel.lib.packed import pack, push_recent


class Owner(NamedTuple):
    """Whose samples: a VM's or a host's, by primary key; the other is None."""

    vm: int | None = None
    host: int | None = None


class Key(NamedTuple):
    """One subject: `kind` is a key of LAYOUTS, `name` the device's or empty."""

    owner: Owner
    kind: str
    name: str


# latest_at only grows: an answer that comes late goes into the tier, not on top. One that is more
# than LATE older did not come late: the clock was ahead and went back.
LATE = 600
_UPDATE = (
    "UPDATE hosts_subject SET latest_at = %s, latest = %s, recent = %s"
    " WHERE id = %s AND (latest_at < %s OR latest_at > %s)"
)


def record(found: Mapping[Key, list[float]], read_at: float) -> int:
    """Write `found`, read at `read_at` (seconds since 1970). Returns the number of rows.

    The time is that of the turn's bucket. A second answer for one bucket changes nothing.
    """
    at = int(read_at) // Sample10s.STEP * Sample10s.STEP
    if not found:
        return 0
    subjects = _subjects(found)
    samples, updates = [], []
    for key, values in found.items():
        subject = subjects.get(key)
        if subject is None:
            continue  # its VM or host was removed a moment ago
        packed = pack(values)
        samples.append(Sample10s(key=Sample10s.key_of(subject.pk, at), packed=packed))
        recent = bytes(subject.recent)
        if key.kind in {"vm", "host"}:
            recent = push_recent(recent, subject.latest_at, at, headline(key.kind, values))
        updates.append((at, packed, recent, subject.pk, at, at + LATE))
    with transaction.atomic():
        Sample10s.objects.bulk_create(samples, ignore_conflicts=True)
        with connection.cursor() as cursor:
            cursor.executemany(_UPDATE, updates)
        # What was rolled up before this row came is rolled up again from here on.
        ids = [subject.pk for subject in subjects.values()]
        Subject.objects.filter(pk__in=ids, rolled_to__gt=at).update(rolled_to=at)
    return len(samples)


def _subjects(found: Mapping[Key, list[float]]) -> dict[Key, Subject]:
    owners = {key.owner for key in found}
    known = _known(owners)
    fresh = [key for key in found if key not in known]
    if fresh:
        Subject.objects.bulk_create(
            [
                Subject(vm_id=key.owner.vm, host_id=key.owner.host, kind=key.kind, name=key.name)
                for key in fresh
            ],
            ignore_conflicts=True,
        )
        known = _known(owners)
    return {key: subject for key, subject in known.items() if key in found}


def _known(owners: set[Owner]) -> dict[Key, Subject]:
    """Subjects of VMs and of hosts each by their own index: an OR of both would read them all."""
    vms = [owner.vm for owner in owners if owner.vm is not None]
    hosts = [owner.host for owner in owners if owner.host is not None]
    known = [*Subject.objects.filter(vm__in=vms)] if vms else []
    known += [*Subject.objects.filter(host__in=hosts)] if hosts else []
    return {
        Key(Owner(subject.vm_id, subject.host_id), subject.kind, subject.name): subject
        for subject in known
    }
