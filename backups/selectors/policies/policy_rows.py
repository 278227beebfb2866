"""Policies as pages, API and CLI show them: in words, and what became of their last runs."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, time
from typing import TypedDict

from backups.models import Policy
from backups.rules.policies import turns
from backups.rules.policies.calendar import next_due
from backups.rules.policies.calendar_words import in_words
from backups.rules.policies.places import in_words as places_in_words
from backups.rules.policies.policies import keeps
from backups.selectors.policies.dues import BackupDue, dues
from backups.selectors.policies.policies import Policies, calendar_of
from hosts.models import VM
from labpanel.jobs.models import Job

_LOUD = {"bad", "watch", "running"}


class RunJson(TypedDict):
    """What became of a policy's last run for a VM at one place."""

    vm: str
    vm_uuid: str
    place: str
    store: str | None
    state: str
    reason: str
    due_at: str | None
    saved_at: str | None
    tried_again_at: str | None
    job: int | None


class PolicyJson(TypedDict):
    """A policy, and what became of its last runs."""

    name: str
    default: bool
    enabled: bool
    cron: str
    timezone: str
    when: str
    next_due: str | None
    places: list[str]
    keep_last: int
    keep_daily: int
    keep_weekly: int
    keep_monthly: int
    bytes_per_second: int | None
    freeze: bool
    verify_days: int
    rehearse_days: int
    deep_days: int
    window_start: str | None
    window_end: str | None
    runs: list[RunJson]


@dataclass(frozen=True, slots=True)
class RunRow:
    """One VM at one place of its policy. `level` and `words` are a mark, `reason` a sentence or
    empty; `at` is when it was last saved by the policy, `until` when a failed run is tried again,
    `due_at` the due time that these speak of."""

    vm: VM
    place: str
    store: str
    level: str
    words: str
    reason: str = ""
    at: datetime | None = None
    until: datetime | None = None
    due_at: datetime | None = None
    job: Job | None = None

    def as_json(self) -> RunJson:
        return {
            "vm": self.vm.name,
            "vm_uuid": str(self.vm.uuid),
            "place": self.place,
            "store": self.store or None,
            "state": self.words,
            "reason": self.reason,
            "due_at": _iso(self.due_at),
            "saved_at": _iso(self.at),
            "tried_again_at": _iso(self.until),
            "job": self.job.pk if self.job else None,
        }


@dataclass(frozen=True, slots=True)
class PolicyRow:
    """A policy in words: `when` "every Sunday at 02:00, Europe/Berlin", `where`, `keeps`; and
    its runs, those that need a look first."""

    policy: Policy
    when: str
    where: str
    keeps: str
    next_due: datetime | None
    runs: list[RunRow] = field(default_factory=list)

    @property
    def next_words(self) -> str:
        """ "Sun 29 Nov 02:00", by the clock of the policy's time zone."""
        due = self.next_due
        return f"{due:%a} {due.day} {due:%b %H:%M}" if due else ""

    @property
    def vms(self) -> list[VM]:
        return list({run.vm.pk: run.vm for run in self.runs}.values())

    @property
    def troubles(self) -> list[RunRow]:
        """What needs a look, or is under way."""
        return [run for run in self.runs if run.level in _LOUD]

    @property
    def quiet(self) -> list[RunRow]:
        return [run for run in self.runs if run.level not in _LOUD]

    def as_json(self) -> PolicyJson:
        policy = self.policy
        return {
            "name": policy.name,
            "default": policy.is_default,
            "enabled": policy.enabled,
            "cron": policy.cron,
            "timezone": policy.timezone,
            "when": self.when,
            "next_due": _iso(self.next_due),
            "places": policy.places,
            "keep_last": policy.keep_last,
            "keep_daily": policy.keep_daily,
            "keep_weekly": policy.keep_weekly,
            "keep_monthly": policy.keep_monthly,
            "bytes_per_second": policy.bytes_per_second,
            "freeze": policy.freeze,
            "verify_days": policy.verify_days,
            "rehearse_days": policy.rehearse_days,
            "deep_days": policy.deep_days,
            "window_start": _clock(policy.window_start),
            "window_end": _clock(policy.window_end),
            "runs": [run.as_json() for run in self.runs],
        }


def policy_list(now: datetime) -> list[PolicyRow]:
    """All policies by name; a constant number of queries."""
    owed = defaultdict(list)
    for due in dues(now):
        owed[due.policy.pk].append(due)
    return [_row(policy, owed[policy.pk], now) for policy in Policy.objects.all()]


def policy_row(policy: Policy, now: datetime) -> PolicyRow:
    return next(row for row in policy_list(now) if row.policy.pk == policy.pk)


def policy_row_of(vm: VM, now: datetime) -> PolicyRow | None:
    """The policy that takes one VM, without its runs; two queries."""
    policy = Policies().of(vm)
    return _row(policy, [], now) if policy else None


def without_policy() -> list[VM]:
    """VMs that no policy backs up: no policy names them, and there is no default one, or
    theirs is switched off."""
    policies = Policies()
    present = VM.objects.filter(missing_since=None).defer("xml", "inactive_xml")
    return [vm for vm in present if not ((policy := policies.of(vm)) and policy.enabled)]


def _row(policy: Policy, owed: list[BackupDue], now: datetime) -> PolicyRow:
    order = ("bad", "watch", "running", "waiting", "good")
    runs = [_run(due) for due in owed]
    return PolicyRow(
        policy=policy,
        when=in_words(calendar_of(policy)),
        where=places_in_words(policy.places),
        keeps=keeps(policy.keep_last, policy.keep_daily, policy.keep_weekly, policy.keep_monthly),
        next_due=next_due(calendar_of(policy), now) if policy.enabled else None,
        runs=sorted(runs, key=lambda run: (order.index(run.level), run.vm.name, run.store)),
    )


def _run(due: BackupDue) -> RunRow:
    level, words, reason = _said(due)
    job = due.last.job if due.last else None
    saved = job is not None and job.state == "done"
    return RunRow(
        vm=due.vm,
        place=due.place.word,
        store=due.place.store.name if due.place.store else "",
        level=level,
        words=words,
        reason=reason,
        at=job.ended_at if job and saved else None,
        until=due.until,
        due_at=due.last.due_at if due.due_at is None and due.last else due.due_at,
        job=job,
    )


def _said(due: BackupDue) -> tuple[str, str, str]:
    """A mark's level and words, and the reason."""
    job = due.last.job if due.last else None
    ended = job.sentence if job else ""
    if due.place.store is None:
        return "bad", "no store", due.place.why
    if not due.policy.enabled:
        return "waiting", "switched off", ""
    if due.decision == turns.TRY:
        return ("watch", "waits", due.away) if due.away else ("waiting", "waits for its turn", "")
    return {
        turns.NOTHING: ("good", "saved", "") if job else ("waiting", "not due yet", ""),
        turns.DONE: ("good", "saved", ""),
        turns.ACTIVE: ("running", "being saved", ""),
        turns.WAIT: ("bad", "failed", ended),
        turns.GIVEN_UP: ("bad", "given up until the next time", ended),
        turns.CANCELLED: ("watch", "cancelled", ended),
    }[due.decision]


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _clock(moment: time | None) -> str | None:
    return f"{moment:%H:%M}" if moment else None
