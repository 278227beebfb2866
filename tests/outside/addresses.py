"""All addresses of the panel, read from the URL conf: a new one is included."""

import re
from collections.abc import Iterator

from django.urls import URLPattern, URLResolver, get_resolver

from backups.models import Policy, Rehearsal
from tests.pages.lab import Lab

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
NOWHERE = {
    "uuid": "00000000-0000-4000-8000-000000000000",
    "slug": "nothing",
    "str": "nothing",
    "path": "nothing",
    "int": "7000000",
}


def routes(
    patterns: list[URLPattern | URLResolver] | None = None, before: str = ""
) -> Iterator[str]:
    for each in get_resolver().url_patterns if patterns is None else patterns:
        route = before + str(each.pattern)
        if isinstance(each, URLResolver):
            yield from routes(each.url_patterns, route)
        else:
            yield route


_PART = re.compile(r"<(\w+):(\w+)>")


def nowhere(route: str) -> str:
    """An address of the route at which there is nothing."""
    return "/" + _PART.sub(lambda part: NOWHERE[part[1]], route)


def fitting(lab: Lab, route: str) -> str:
    """The route's address of something that there is in the lab."""
    known = {
        "hosts/<slug:name>": lab.alpha.name,
        "hosts/<str:name>": lab.alpha.name,
        "stores/<": lab.store.name,
        "generations/<": lab.generation.key,
        "policies/<str": _policy("name"),
        "policies/<int": _policy("pk"),
        "jobs/<": str(lab.job.pk),
        "rehearsals/<": str(getattr(Rehearsal.objects.first(), "pk", NOWHERE["int"])),
        "vms/<": str(lab.home.uuid),
    }
    value = next((value for part, value in known.items() if part in route), None)
    return "/" + _PART.sub(lambda part: value or NOWHERE[part[1]], route)


def _policy(field: str) -> str:
    return str(getattr(Policy.objects.first(), field, NOWHERE["int"]))


def addresses(lab: Lab) -> list[str]:
    """Every address, with something that there is and with something that there is not."""
    return sorted({one for route in routes() for one in (fitting(lab, route), nowhere(route))})
