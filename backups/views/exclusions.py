"""Leaving a virtual disk out of the backups, and taking it in again."""

from datetime import UTC, datetime
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_POST

from backups.services.policies.exclude_disk import exclude, include
from hosts.models import VM
from labpanel.jobs.acting import asker, do
from labpanel.lib.refusal import Refusal


@require_POST
def leave_out(request: HttpRequest, uuid: UUID) -> HttpResponse:
    vm = get_object_or_404(VM, uuid=uuid)
    disk, reason = request.POST.get("disk", ""), request.POST.get("reason", "")

    def leave() -> None:
        until = _day(request.POST.get("until", ""))
        exclude(vm, disk, reason, by=asker(request), until=until)

    return do(request, leave, vm.get_absolute_url())


@require_POST
def take_in(request: HttpRequest, uuid: UUID) -> HttpResponse:
    vm = get_object_or_404(VM, uuid=uuid)
    disk = request.POST.get("disk", "")
    return do(request, lambda: include(vm, disk), vm.get_absolute_url())


def _day(text: str) -> datetime | None:
    """The beginning of a day as a browser's date field gives it; None for nothing."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC) if text else None
    except ValueError as error:
        raise Refusal(f"{text!r} is not a day like 2026-12-31.") from error
