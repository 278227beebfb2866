"""One generation: what it holds, how far it is proven, bringing it back."""

from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from backups.models import Generation
from backups.rules.backup.left_out import sentences
from backups.rules.copies.trust import advice, doubt
from backups.selectors.copies.damage import damage_of
from backups.selectors.copies.left_out import left_out_of
from backups.selectors.copies.rehearsals import Shown, rehearsing_of
from backups.selectors.restore.instants import instants_on
from backups.selectors.restore.restoring import restore_form
from backups.services.proof.verify import ask_for_verify
from labpanel.jobs.acting import act, asker
from labpanel.jobs.models import Job
from labpanel.jobs.states import ACTIVE


@dataclass(frozen=True, slots=True)
class Proof:
    level: str
    title: str
    text: str


@require_safe
def generation(request: HttpRequest, key: str) -> HttpResponse:
    found = get_object_or_404(
        Generation.objects.select_related("store__host", "vm").prefetch_related("disks"), key=key
    )
    about = Job.objects.filter(subject=f"generation:{key}", state__in=ACTIVE)
    rehearsing = rehearsing_of(found)
    context = {
        "generation": found,
        "disks": list(found.disks.all()),
        "proof": after_boot(proof(found), rehearsing.latest),
        "damage": damage_of(found),
        "active": about.first(),
        "rehearsing": rehearsing,
        "restore": restore_form(found),
        "left_out": sentences(left_out_of(found)),
        "instants": instants_on(key),
    }
    return render(request, "backups/generation.html", context)


@require_POST
def verify(request: HttpRequest, key: str) -> HttpResponse:
    found = get_object_or_404(Generation.objects.select_related("store"), key=key)
    level = {"1": 1, "2": 2}.get(request.POST.get("level", "2"), 0)
    return act(request, lambda: ask_for_verify(found, level, asked_by=asker(request)))


def after_boot(said: Proof, latest: Shown | None) -> Proof:
    """The same, unless its last boot went wrong: what reads back well may still not come up."""
    if latest is None or latest.level != "bad" or said.level == "bad":
        return said
    return Proof("bad", "This copy failed its rehearsal.", latest.sentence)


def proof(found: Generation) -> Proof:
    """How far one may trust this copy, in words."""
    if found.state == Generation.State.MISSING:
        text = f"It is not in the store {found.store.name} any more."
        return Proof("bad", "This copy is gone.", text)
    if found.state == Generation.State.DAMAGED:
        return Proof("bad", "This copy is damaged.", found.damage)
    if odd := doubt(found.trust, found.taken_at, timezone.now()):
        text = f"It {odd}. {advice(found.trust, found.key)}"
        return Proof("bad", "This copy counts for nothing.", text)
    if found.verified_at:
        text = "Every block was read through its chain and compared with what the source held."
        if found.rehearsed_at:
            return Proof("good", "This copy was read back, and it came up when booted.", text)
        unproven = f"{text} Whether it boots is not known."
        return Proof("watch", "This copy was read back, but never booted.", unproven)
    if found.hashed_at:
        text = "Its files are as they were written; that they hold what was there is not shown."
        return Proof("watch", "Only the files of this copy were checked.", text)
    text = "Whether it can be read is not known. Reading it takes about as long as making it did."
    if found.trust == Generation.Trust.UNSIGNED:
        text = f"It carries no signature of this panel until it is read back once. {text}"
    return Proof("watch", "This copy was never read back.", text)
