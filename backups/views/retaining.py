"""Pruning, holding, protecting: the buttons."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_POST

from backups.models import Generation, Store
from backups.services.index.hold import hold as do_hold
from backups.services.index.hold import release as do_release
from backups.services.index.protect import protect as do_protect
from backups.services.index.protect import unprotect as do_unprotect
from backups.services.prune.prune import ask_for_prune
from hosts.models import VM
from labpanel.jobs.acting import act, asker, do


@require_POST
def prune(request: HttpRequest, uuid: UUID) -> HttpResponse:
    vm = get_object_or_404(VM, uuid=uuid)
    store = get_object_or_404(Store, name=request.POST.get("store", ""))
    return act(request, lambda: ask_for_prune(vm, store, asked_by=asker(request)))


@require_POST
def hold(request: HttpRequest, uuid: UUID) -> HttpResponse:
    vm = get_object_or_404(VM, uuid=uuid)
    reason = request.POST.get("reason", "")
    return do(request, lambda: do_hold(vm, reason, asker(request)), _copies(vm))


@require_POST
def release(request: HttpRequest, uuid: UUID) -> HttpResponse:
    vm = get_object_or_404(VM, uuid=uuid)
    return do(request, lambda: do_release(vm, asker(request)), _copies(vm))


@require_POST
def protect(request: HttpRequest, key: str) -> HttpResponse:
    found = get_object_or_404(Generation, key=key)
    reason = request.POST.get("reason", "")
    return do(request, lambda: do_protect(found, reason), found.get_absolute_url())


@require_POST
def unprotect(request: HttpRequest, key: str) -> HttpResponse:
    found = get_object_or_404(Generation, key=key)
    return do(request, lambda: do_unprotect(found), found.get_absolute_url())


def _copies(vm: VM) -> str:
    return reverse("vm-generations", args=[vm.uuid])
