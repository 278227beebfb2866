"""Ask for a restore once more, with the owner's word on what its definition reaches."""

from dataclasses import dataclass

from backups.services.restore.ask_restore import must_be_free
from hosts.models import VM, Host
from hosts.services.vms.agreement import kept
from labpanel.jobs import ledger
from labpanel.jobs.models import Job
from labpanel.jobs.notes import noted
from labpanel.jobs.states import State
from labpanel.lib.actor import PANEL, Actor
from labpanel.lib.definition import Word
from labpanel.lib.refusal import Refusal

KINDS = ("restore", "instant")


@dataclass(frozen=True, slots=True)
class Question:
    """What only the owner can decide, for the page of a job that was not done: what the definition
    of `vm` reaches on `host` (`words`, agreed to by `code`), and what the host `lacks`."""

    code: str
    can_drop: bool
    vm: str
    host: str
    words: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Asking:
    """The note that holds it."""

    asking: Question


def ask_again(job: Job, word: Word, *, asked_by: Actor = PANEL) -> Job:
    """Open the same job anew; nothing of the first was made. Raises Refusal, also for what came in
    between, or Busy."""
    asks = job.kind in KINDS and job.state == State.FAILED and noted(job, Asking) is not None
    if not asks:
        raise Refusal(f"{job.title}: this needs no decision of yours.", 409)
    if not job.parameters.get("in_place"):
        _must_have_place(job)
    return ledger.open_job(
        job.kind,
        job.title,
        subject=job.subject,
        lock_key=job.lock_key,
        asked_by=asked_by,
        parameters={**job.parameters, **kept(word)},
    )


def _must_have_place(job: Job) -> None:
    asked = job.parameters
    host = Host.objects.filter(pk=asked["host"]).first()
    if host is None:
        raise Refusal(f"{job.title}: that host was removed from the panel; ask anew.", 409)
    must_be_free(asked["name"], host)
    vm = VM.objects.select_related("host").filter(uuid=asked["uuid"], missing_since=None).first()
    if vm is not None:
        raise Refusal(f"{vm.name} is on {vm.host.name} again; restore it as a copy.", 409)
