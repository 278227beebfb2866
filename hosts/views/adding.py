"""Adding a host in two steps: see its fingerprint, then confirm it."""

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from hosts.services.machines import add_host
from labpanel.adapters.ssh.openssh import public_key
from labpanel.jobs.acting import answer


@require_http_methods(["GET", "HEAD", "POST"])
def look(request: HttpRequest) -> HttpResponse:
    """The form; sent, the fingerprint that the machine shows. Nothing is stored."""
    if request.method != "POST":
        return render(request, "hosts/add.html", {"public_key": public_key()})

    def shown() -> HttpResponse:
        asked = _asked(request)
        key = add_host.fetch_key(asked)
        return render(request, "hosts/confirm.html", {"asked": asked, "key": key})

    return answer(request, shown)


@require_POST
def add(request: HttpRequest) -> HttpResponse:
    """Take the host in, if it still shows the fingerprint that was confirmed."""

    def added() -> HttpResponse:
        asked = _asked(request)
        key = add_host.fetch_key(asked)
        host = add_host.add(asked, key, request.POST.get("fingerprint", ""))
        return HttpResponseRedirect(host.get_absolute_url())

    return answer(request, added, form=reverse("host-look"))


def _asked(request: HttpRequest) -> add_host.NewHost:
    name, target = request.POST.get("name", ""), request.POST.get("target", "")
    return add_host.check(name.strip(), target.strip())
