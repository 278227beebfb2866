"""What every page's frame shows: where one is, and how old what one sees is."""

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db.models import Max
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from hosts.models import Host
from labpanel.adapters.here import home_disk
from labpanel.lib.durations import ago

# word, name of its address, what the addresses under it begin with
PLACES = (
    ("Overview", "overview", ("/hosts/", "/vms/")),
    ("Coverage", "coverage", ("/coverage/", "/generations/", "/stores/", "/policies/")),
    ("Activity", "jobs", ("/jobs/",)),
    ("Settings", "settings", ("/settings/",)),
)


@dataclass(frozen=True, slots=True)
class NavigationLink:
    word: str
    address: str
    here: bool


@dataclass(frozen=True, slots=True)
class LastAnswer:
    """The newest answer of any host; `seconds` is its age (clocks of phones differ)."""

    at: datetime | None
    seconds: int
    text: str


def frame(request: HttpRequest) -> dict[str, object]:
    """Context processor: `places`, the `room` that is left for the panel's own state in `home_dir`,
    and, asked for only where it is shown, `looked`."""
    return {
        "places": SimpleLazyObject(lambda: _places(request.path)),
        "looked": SimpleLazyObject(_looked),
        "room": home_disk.room(),
        "home_dir": settings.HOME_DIR,
    }


def _places(path: str) -> list[NavigationLink]:
    found = []
    for word, name, prefixes in PLACES:
        address = reverse(name)
        found.append(NavigationLink(word, address, path == address or path.startswith(prefixes)))
    return found


def _looked() -> LastAnswer:
    at = Host.objects.aggregate(at=Max("seen_at"))["at"]
    now = timezone.now()
    seconds = max(0, round((now - at).total_seconds())) if at else 0
    return LastAnswer(at, seconds, ago(at, now))
