"""The turn that pays what ended jobs still owe: hosts side by side, of each one after the other."""

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db.models import F

from labpanel.adapters.errors import AdapterError, TimedOut, Unreachable
from labpanel.jobs import obligations
from labpanel.jobs.models import Job, Obligation
from labpanel.jobs.states import FINAL
from labpanel.lib import tempo
from labpanel.lib.single_flight import single_flight

log = logging.getLogger(__name__)


def hosts_owed(now: datetime) -> list[int | None]:
    """Keys of the hosts to which something is owed that is due, the most urgent first."""
    obligations.forget_paid(Job.objects.filter(state__in=FINAL))
    return list(dict.fromkeys(row.host for row in _due(now)))


def settle_host(host: int | None, now: datetime) -> list[Obligation]:
    """Pay what is owed to one host; what was paid. Nothing while another turn is at it."""
    with single_flight(f"settle-{host}") as mine:
        if not mine:
            return []
        rows = [row for row in _due(now) if row.host == host]
        paid = _paid(rows, now)
    obligations.forget_paid([row.job for row in paid])
    return paid


def settle(now: datetime) -> list[Obligation]:
    """All hosts, one after the other; what was paid."""
    return [row for host in hosts_owed(now) for row in settle_host(host, now)]


def _due(now: datetime) -> list[Obligation]:
    """Of a job that has not ended, its worker or the reaper pays."""
    rows = Obligation.objects.select_related("job").filter(job__state__in=FINAL, paid_at=None)
    return obligations.in_turn(row for row in rows if _is_due(row, now))


def _is_due(row: Obligation, now: datetime) -> bool:
    if row.tried_at is None or row.tried_at > now:  # the clock was set back
        return True
    seconds = min(tempo.NOW.owed_again * 2 ** min(row.tries - 1, 10), obligations.duty(row).longest)
    return row.tried_at + timedelta(seconds=seconds) <= now


def _paid(rows: list[Obligation], now: datetime) -> list[Obligation]:
    """A host that cannot be reached is asked for one thing only: the rest waits with it. Where one
    job's VM or program gives no answer in time, that job's rest waits, and no other's: a hung QEMU
    must not hold up what is owed to its neighbours."""
    paid, hung = [], set()
    for number, row in enumerate(rows):
        if row.job_id in hung:
            continue
        try:
            if obligations.pay(row, now):
                paid.append(row)
        except Unreachable as silent:
            log.info("%s waits: %s", row, silent.sentence)
            _tried(rows[number + 1 :], now)
            break
        except TimedOut as late:
            log.info("%s waits: %s", row, late.sentence)
            hung.add(row.job_id)
        except AdapterError as error:
            log.info("%s is still owed: %s", row, error.sentence)
        except Exception:  # a bug in one kind must not keep what else is owed waiting
            log.exception("%s cannot be paid", row)
    return paid


def _tried(rows: Iterable[Obligation], now: datetime) -> None:
    keys = [row.pk for row in rows]
    Obligation.objects.filter(pk__in=keys).update(tried_at=now, tries=F("tries") + 1)
