"""What every page's frame shows: where one is, and how old what one sees is."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Max
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from hosts.models import Host
from labpanel.lib.durations import ago

# word, name of its address, what the addresses under it begin with
PLACES = (
    ("Overview", "overview", ("/hosts/", "/vms/")),
    ("Coverage", "coverage", ("/coverage/", "/generations/", "/stores/", "/policies/")),
    ("Activity", "jobs", ("/jobs/",)),
    ("Settings", "settings", ("/settings/",)),
)


@dataclass(frozen=True, slots=True)
class Place:
    word: str
    address: str
    here: bool


@dataclass(frozen=True, slots=True)
class Looked:
    """The newest answer of any host; `seconds` is its age (clocks of phones differ)."""

    at: datetime | None
    seconds: int
    text: str


def frame(request: HttpRequest) -> dict[str, object]:
    """Context processor: `places` and, asked for only where it is shown, `looked`."""
    return {
        "places": SimpleLazyObject(lambda: _places(request.path)),
        "looked": SimpleLazyObject(_looked),
    }


def _places(path: str) -> list[Place]:
    found = []
    for word, name, prefixes in PLACES:
        address = reverse(name)
        found.append(Place(word, address, path == address or path.startswith(prefixes)))
    return found


def _looked() -> Looked:
    at = Host.objects.aggregate(at=Max("seen_at"))["at"]
    now = timezone.now()
    seconds = max(0, round((now - at).total_seconds())) if at else 0
    return Looked(at, seconds, ago(at, now))
