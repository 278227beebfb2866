"""The short way back for a VM, or all VMs of a host, that cannot be relied on where they are: one
page that says what happens, one tap that does it."""

from collections.abc import Sequence
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from backups.models import Generation
from backups.rules.restore.bring_back_words import KEEP_OFF
from backups.selectors.restore.bring_back import BringBack, bring_all_of, bring_back_of
from backups.services.restore.bring_back import bring_back
from hosts.models import VM, Host
from labpanel.jobs.acting import act, asker
from labpanel.jobs.groups import gather
from labpanel.jobs.ledger import Busy
from labpanel.jobs.models import Job
from labpanel.lib.refusal import Refusal


@require_http_methods(["GET", "HEAD", "POST"])
def one(request: HttpRequest, uuid: UUID) -> HttpResponse:
    vm = get_object_or_404(VM.objects.select_related("host"), uuid=uuid)
    if request.method == "POST":
        found = bring_back_of(vm, timezone.now())
        return act(request, lambda: _ask(request, vm, found, request.POST.get("to", "")))
    found = bring_back_of(vm, timezone.now())
    return render(request, "backups/bring_back.html", {"vm": vm, "bring": found})


@require_http_methods(["GET", "HEAD", "POST"])
def all_of(request: HttpRequest, name: str) -> HttpResponse:
    """A job for each VM; one that is refused keeps no other one from coming back."""
    host = get_object_or_404(Host, name=name)
    page = bring_all_of(host, timezone.now())
    refused: list[str] = []
    if request.method == "POST":
        refused = _try_all(request, host, page.ready)
        if not refused:
            return redirect("host-bring-back", host.name)
        page = bring_all_of(host, timezone.now())
    context = {"host": host, "page": page, "refused": refused}
    status = 409 if refused else 200
    return render(request, "backups/bring_all_back.html", context, status=status)


def _try_all(request: HttpRequest, host: Host, ready: Sequence[BringBack]) -> list[str]:
    """What was refused; of the others, the jobs are opened as one group."""
    opened: list[Job] = []
    refused: list[str] = []
    for each in ready:
        if f"copy-{each.vm.uuid}" not in request.POST:
            continue  # it was not on the page that was confirmed
        to = each.to.name if each.to else ""
        try:
            opened.append(_ask(request, each.vm, each, to, f"-{each.vm.uuid}"))
        except (Refusal, Busy) as refusal:
            refused.append(f"{each.vm.name}: {refusal.sentence}")
    gather(f"Bring {len(opened)} VMs of {host.name} back", opened, asked_by=asker(request))
    return refused


def _ask(request: HttpRequest, vm: VM, found: BringBack | None, to: str, which: str = "") -> Job:
    """The copy that was shown is the one that comes back, also if a newer one was made since.
    `which` ends the names of the fields of one VM of many; one that was off then stays off."""
    said = request.POST
    copies = Generation.objects.select_related("store__host").filter(vm_uuid=vm.uuid)
    copy = copies.filter(key=said.get(f"copy{which}", "")).first()
    host = Host.objects.filter(name=to).first()
    if copy is None or host is None:
        raise Refusal(f"Say which copy of {vm.name} is to come back, and on which host.")
    _must_be_as_shown(vm, found, said.get(f"trouble{which}", ""))
    off = bool(which) and found is not None and found.stays_off
    choice = KEEP_OFF if off else said.get("choice", "")
    return bring_back(copy, host, choice, asked_by=asker(request))


def _must_be_as_shown(vm: VM, found: BringBack | None, shown: str) -> None:
    """A page may have lain open for hours: a VM that is well by now is not switched off for an old
    copy, one that came back does not come a second time, and "its host is off" holds no longer
    once that answers."""
    if found is None:
        raise Refusal(
            f"{vm.host.name} answers and no trouble is known of the disks of {vm.name} any more. "
            "Nothing was brought back and nothing was switched off.",
            409,
        )
    if found.job is not None:
        raise Refusal(f"{vm.name} is being brought back already (job {found.job.pk}).", 409)
    if found.came is not None:
        raise Refusal(
            f"{vm.name} was brought back already: it is {found.came.name} on "
            f"{found.came.host.name}. Nothing was done.",
            409,
        )
    if shown and shown != found.trouble.kind:
        raise Refusal(
            f"What is wrong has changed since this page was shown: {found.trouble.sentence} "
            "Nothing was done. Look at what happens now, and choose again.",
            409,
        )
