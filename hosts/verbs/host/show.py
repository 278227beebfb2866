"""`./panel host show NAME`: what a host is, and what it lacks."""

from dataclasses import dataclass

from django.utils import timezone

from hosts.models import Host
from hosts.selectors.host_facts import FileSystemJson, HostFactsJson, host_facts
from hosts.selectors.lists import host_row
from hosts.selectors.naming import find_host
from hosts.verbs.host.missing import print_missing
from labpanel.lib.actor import Actor
from labpanel.lib.units import size
from labpanel.verbs.fields import word
from labpanel.verbs.output import gap, print_table, say
from labpanel.verbs.verb import ApiRoute, Verb

_FACTS = (
    "name",
    "target",
    "fingerprint",
    "state",
    "reason",
    "last_seen",
    "libvirt_state",
    "kernel",
    "cpus",
    "libvirt_version",
    "qemu_version",
)


@dataclass(frozen=True, slots=True)
class OneHost:
    name: str = word()


def _do(_: Actor, given: OneHost) -> Host:
    return find_host(given.name)


def _facts(host: Host) -> HostFactsJson:
    return host_facts(host, timezone.now())


def _show(host: Host) -> None:
    facts = _facts(host)
    values: dict[str, object] = {**facts}
    for key in _FACTS:
        say(f"{key.replace('_', ' '):<16} {values[key] or '–'}")
    say(f"{'memory':<16} {size(facts['memory_bytes'])}")
    gap()
    print_table(
        ("mount point", "type", "source", "size", "free", "drives"),
        [_file_system(system) for system in facts["file_systems"]],
        "none seen yet",
    )
    print_missing(host_row(host, timezone.now()))


def _file_system(system: FileSystemJson) -> tuple[object, ...]:
    return (
        system["mount_point"],
        system["fstype"],
        system["source"],
        size(system["size_bytes"]),
        size(system["available_bytes"]),
        ", ".join(system["drives"]),
    )


VERBS = (
    Verb(
        "host show",
        "one host: what it is, what it lacks",
        OneHost,
        _do,
        _facts,
        ApiRoute("GET", "hosts/<str:name>"),
        _show,
    ),
)
