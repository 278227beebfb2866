"""What jobs owe to hosts, and paying it.

A kind of obligation is a frozen dataclass: its fields are the typed data of a row, its `pay` asks
the host what is true and undoes what is left, and may be called twice. Names, not imports: the
ledger lies below the services that define them.
"""

import importlib
import logging
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, ClassVar, Protocol, TypeVar, cast

from django.core.exceptions import ObjectDoesNotExist
from django.db.models import F, QuerySet
from django.utils import timezone

from labpanel.adapters.errors import AdapterError, TimedOut, Unreachable
from labpanel.jobs.models import Job, Obligation
from labpanel.jobs.states import ACTIVE
from labpanel.lib import tempo
from labpanel.lib.closed import Odd
from labpanel.lib.printable import printable
from labpanel.lib.shaped import shaped

log = logging.getLogger(__name__)


class Owed(Protocol):
    """The typed data of an obligation. `host` is the key of the Host that is asked, None for the
    panel's own machine. `pay` gives a sentence on what is true now, or an empty one; it raises
    StillOwed, or an AdapterError where the host does not answer."""

    KIND: ClassVar[str]
    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def host(self) -> int | None: ...

    def pay(self, job: Job) -> str: ...


Kind = TypeVar("Kind", bound=Owed)


class StillOwed(AdapterError):
    """The host answered, and what is owed cannot be undone yet."""


def must_be_alone(job: Job, name: str) -> None:
    """Raises StillOwed while another job holds the lock that this one had: what is undone now
    could be what it works on. `name` is the VM's."""
    same = Job.objects.filter(lock_key=job.lock_key, state__in=ACTIVE).exclude(pk=job.pk)
    if job.lock_key and same.exists():
        raise StillOwed(f"Another job works on {name}.")


@dataclass(frozen=True, slots=True)
class Duty:
    """`owed` is the dotted name of the dataclass. What has a lower `turn` is paid first; `after`
    are kinds that the same job must have paid before; `longest` is the time in seconds after which
    an unpaid one is tried again at the latest."""

    owed: str
    turn: int
    after: tuple[str, ...] = ()
    longest: float = tempo.NOW.owed_longest


# A frozen guest stands still for its users: it comes first, and is tried most often.
DUTIES: dict[str, Duty] = {
    "thaw": Duty("backups.services.backup.owed.FrozenGuest", 0, longest=30),
    "channel": Duty("backups.services.index.channels.Channel", 1),
    "open backup": Duty("backups.services.backup.owed.OpenBackup", 2),
    "aside folder": Duty("backups.services.backup.owed.AsideFolder", 3, after=("open backup",)),
    "rehearsal": Duty("backups.services.rehearsal.settle.OpenRehearsal", 2),
    "restore": Duty("backups.services.restore.settle.OpenRestore", 2),
    "replacement": Duty("backups.services.restore.settle.OpenReplacement", 2),
    "instant": Duty("backups.services.instant.settle.OpenInstant", 2),
    "move": Duty("labpanel.moves.services.owed.OpenMove", 2, longest=30),
    "partial": Duty("backups.services.index.partial.PartialGeneration", 4),
    "checkpoint": Duty("backups.services.backup.owed.NewCheckpoint", 5, after=("partial",)),
}


# Of a kind that a later panel wrote, before a downgrade: last, and seldom.
_UNKNOWN = Duty("", 9)


def duty(row: Obligation) -> Duty:
    """What holds for a row, whether its kind is known or not."""
    return DUTIES.get(row.kind, _UNKNOWN)


def shape_of(kind: str) -> type[Owed]:
    """The dataclass of a kind."""
    module, _, name = DUTIES[kind].owed.rpartition(".")
    return cast("type[Owed]", getattr(importlib.import_module(module), name))


def write(job: Job, owed: Owed) -> Obligation:
    made: Obligation = Obligation.objects.create(
        job=job, host=owed.host, kind=owed.KIND, data=asdict(owed)
    )
    return made


def read(row: Obligation) -> Owed:
    """Raises Odd for a kind that is not known, and for data that does not fit its kind."""
    if row.kind not in DUTIES:
        raise Odd("this panel does not know this kind")
    return cast("Owed", shaped(shape_of(row.kind), row.data, f"{row.kind} of job {row.job_id}"))


def owed_by(job: Job, kind: type[Kind]) -> list[tuple[Obligation, Kind]]:
    """What the job still owes of one kind, oldest first."""
    rows = job.obligations.filter(kind=kind.KIND, paid_at=None)
    return [(row, cast("Kind", read(row))) for row in rows]


def mark_paid(row: Obligation) -> None:
    """Nothing is owed any more. The row stays until its job has ended: a settling in between must
    know what had been begun."""
    row.paid_at = timezone.now()
    Obligation.objects.filter(pk=row.pk).update(paid_at=row.paid_at)


def mark_all_paid(job: Job, kind: type[Owed]) -> None:
    job.obligations.filter(kind=kind.KIND, paid_at=None).update(paid_at=timezone.now())


def forget_paid(jobs: Sequence[Job] | QuerySet[Job]) -> None:
    """The rows of ended jobs that owe nothing any more."""
    Obligation.objects.filter(job__in=jobs).exclude(paid_at=None).delete()


def in_turn(rows: Iterable[Obligation]) -> list[Obligation]:
    """In the order in which they are paid."""
    return sorted(rows, key=lambda row: (duty(row).turn, row.pk))


def pay(row: Obligation, now: datetime) -> bool:
    """Try once; whether it is paid. What was found, or why not, is its sentence. Raises
    AdapterError where it is still owed. What cannot be read stays, for a panel that can."""
    Obligation.objects.filter(pk=row.pk).update(tried_at=now, tries=F("tries") + 1)
    if _must_wait(row):
        return False
    try:
        row.sentence = read(row).pay(row.job)
    except Odd as odd:  # of the row, or of what its job noted beside it
        _keep(row, f"It is kept, for it cannot be read: {odd}.")
        return False
    except ObjectDoesNotExist as gone:
        # A host or store that was removed from the panel: what lies there is out of its reach.
        log.warning("%s is not owed any more: %s", row, gone)
    except AdapterError as error:
        Obligation.objects.filter(pk=row.pk).update(sentence=error.sentence)
        raise
    Obligation.objects.filter(pk=row.pk).update(sentence=row.sentence)
    mark_paid(row)
    return True


def _keep(row: Obligation, sentence: str) -> None:
    """Say why, in the log once."""
    sentence = printable(sentence)
    if row.sentence != sentence:
        log.error("%s: %s", row, sentence)
        Obligation.objects.filter(pk=row.pk).update(sentence=sentence)


def _must_wait(row: Obligation) -> bool:
    after = duty(row).after
    return Obligation.objects.filter(job=row.job_id, kind__in=after, paid_at=None).exists()


def pay_all(job: Job) -> None:
    """All that a job owes whose worker died; the first trouble is raised at the end. Each is tried,
    but a host that gave no answer is not asked again: other dead workers' jobs wait behind it."""
    troubles: list[AdapterError] = []
    silent: set[int | None] = set()
    for row in in_turn(job.obligations.filter(paid_at=None)):
        if row.host in silent:
            continue
        try:
            pay(row, timezone.now())
        except StillOwed as later:
            log.info("%s: %s", row, later.sentence)  # a later turn pays it
        except AdapterError as error:
            troubles.append(error)
            if isinstance(error, Unreachable | TimedOut):
                silent.add(row.host)
    if troubles:
        raise troubles[0]
