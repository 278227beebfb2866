"""`./panel incidents`: all that is wrong, with its evidence; the same that the overview says."""

from dataclasses import dataclass

from django.utils import timezone
from django.utils.dateparse import parse_datetime

from hosts.models import Finding
from hosts.selectors.findings import ACKNOWLEDGE, IncidentRow, incident_row, past_incidents
from hosts.selectors.naming import find_host
from labpanel.home.selectors.wrong import IncidentJson, as_json, facts, incident_json, wrong
from labpanel.home.state import Headline
from labpanel.lib.actor import Actor
from labpanel.verbs.fields import option
from labpanel.verbs.output import say
from labpanel.verbs.verb import ApiRoute, Verb


@dataclass(frozen=True, slots=True)
class Incidents:
    host: str = option("only those of one host", "")
    past: bool = option("also those that are over", False)


@dataclass(frozen=True, slots=True)
class FoundIncidents:
    """What is wrong, worst first, and what is over."""

    items: list[Headline]
    past: list[IncidentRow]


def _do(_: Actor, given: Incidents) -> FoundIncidents:
    host = find_host(given.host) if given.host else None
    items = wrong(facts(timezone.now(), host))
    return FoundIncidents(items, past_incidents(host) if given.past else [])


def _rows(found: FoundIncidents) -> list[IncidentJson]:
    return [*map(as_json, found.items), *map(incident_json, found.past)]


def _show(found: FoundIncidents) -> None:
    for item in found.items:
        if isinstance(item.finding, Finding):
            _tell(incident_row(item.finding))
        else:
            _say(item)
    for row in found.past:
        _tell(row)
    if not found.items and not found.past:
        say("Nothing is known to be wrong.")


def _say(item: Headline) -> None:
    say(f"{item.level.upper()}  {item.title}")
    if item.text:
        say(f"  {item.text}")


def _tell(row: IncidentRow) -> None:
    over = f" (over since {_clock(row.resolved_at)})" if row.resolved_at else ""
    say(f"{row.severity.upper()}  {row.title}{over}")
    if row.affected:
        say(f"  touches {', '.join(each['vm'] for each in row.affected)}")
    for item in row.evidence:
        since = f", since {_clock(item['since'])}" if item.get("since") else ""
        say(f"  {item['what']}: {item['value']} ({item['source']}{since})")
    if row.advice and not row.resolved_at:
        say(f"  {row.advice}")
    if ACKNOWLEDGE in row.acts:
        say(f"  It stands until you have seen it: `./panel seen {row.id}`")


def _clock(text: str) -> str:
    at = parse_datetime(text)
    return f"{timezone.localtime(at):%Y-%m-%d %H:%M}" if at else text


VERBS = (
    Verb(
        "incidents",
        "say what is wrong, since when, and what to do",
        Incidents,
        _do,
        _rows,
        ApiRoute("GET", "incidents"),
        _show,
    ),
)
