"""The button that brings a generation back."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_POST

from backups.models import Generation
from backups.services.restore.ask_again import ask_again
from backups.services.restore.ask_restore import RestoreRequest, ask_for_restore
from hosts.models import Host
from labpanel.jobs.acting import act, asker
from labpanel.jobs.models import Job
from labpanel.lib.definition import spoken
from labpanel.lib.refusal import Refusal

_MIB = 1 << 20
_DISK = "disk-"


@require_POST
def restore(request: HttpRequest, key: str) -> HttpResponse:
    found = get_object_or_404(Generation.objects.select_related("store__host"), key=key)
    return act(request, lambda: _ask(request, found))


@require_POST
def again(request: HttpRequest, pk: int) -> HttpResponse:
    """The answer to a restore that asked for the owner's word."""
    found = get_object_or_404(Job, pk=pk)
    accept = request.POST.get("accept_reach", "")
    return act(
        request,
        lambda: ask_again(found, spoken(accept, drop=not accept), asked_by=asker(request)),
    )


def _ask(request: HttpRequest, found: Generation) -> Job:
    said = request.POST
    way = said.get("way", "copy")
    wish = RestoreRequest(
        name=said.get("name", "").strip() if way != "in-place" else "",
        path=said.get("path", "").strip() if way != "in-place" else "",
        start=said.get("start") == "1",
        in_place=way == "in-place",
        shut_down=said.get("shut_down") == "1",
        instant=way == "instant",
        disks=_disks(request),
        only=any(field.startswith(_DISK) for field in said),
        bytes_per_second=_cap(said.get("cap", "")),
        word=spoken("", drop=said.get("drop_reach") == "1"),
    )
    host = None if wish.in_place else _host(said.get("to", ""))
    return ask_for_restore(found, host, wish, asked_by=asker(request))


def _host(name: str) -> Host:
    host = Host.objects.filter(name=name).first()
    if host is None:
        raise Refusal(f"There is no host {name!r}." if name else "Say on which host.", 400)
    return host


def _disks(request: HttpRequest) -> dict[str, Generation]:
    """The form says for each disk from which generation, or nothing for "not at all"."""
    keys = {
        field.removeprefix(_DISK): value
        for field, value in request.POST.items()
        if isinstance(value, str) and field.startswith(_DISK) and value
    }
    known = Generation.objects.in_bulk(set(keys.values()), field_name="key")
    unknown = [key for key in keys.values() if key not in known]
    if unknown:
        raise Refusal(f"There is no generation {unknown[0]}.")
    return {target: known[key] for target, key in keys.items()}


def _cap(text: str) -> int:
    """MiB a second as typed, empty for none."""
    if not text.strip():
        return 0
    try:
        return max(0, int(float(text) * _MIB))
    except (ValueError, OverflowError):
        raise Refusal("The speed is a number of MiB a second, or empty.") from None
