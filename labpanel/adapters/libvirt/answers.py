"""What libvirt says of a host's domains, as closed values; the odd ones put aside with a sentence.

The answers are those of libvirt/child/read_calls.py: made of what the host's libvirt sent.
"""

import uuid
from dataclasses import dataclass

from labpanel.adapters.libvirt.xml import domain_xml
from labpanel.adapters.libvirt.xml.domain_xml import Domain
from labpanel.lib import closed
from labpanel.lib.closed import Aside, Odd
from labpanel.lib.vm_state import DiskError, Reason, disk_error_of, reason_of, state_of

MOST_DOMAINS = 1000
_MOST_FIELDS = 4096
_MOST_TARGETS = 512
_MOST_REBOOTS = 64
_LATEST = 2**40  # far after any time that a date can hold


@dataclass(frozen=True, slots=True)
class Report:
    """One domain. `top` is read from `xml` (live if it runs), `below` from the persistent one.
    `run` is libvirt's number of the run, None of one that is off; `rebooted` are times (seconds of
    the epoch, by the panel's clock) at which its guest rebooted within that run."""

    uuid: str
    name: str
    state: str
    reason: Reason
    run: int | None
    persistent: bool
    autostart: bool
    xml: str
    inactive_xml: str
    top: Domain
    below: Domain | None
    rebooted: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Reports:
    """`unread` are the UUIDs of domains that are there, but of which nothing else can be said;
    `whole` is False where even that is not known of all. `odd` are sentences."""

    domains: tuple[Report, ...]
    unread: frozenset[str]
    whole: bool
    odd: tuple[str, ...]


Stats = dict[str, int | str]


def reports(answer: object, host: str) -> Reports:
    """The answer to "inventory". Raises Odd when it is not a list of domains."""
    aside, unread, unknown, seen = Aside(host), set(), 0, set()
    found = []
    for place, said in enumerate(closed.items(answer, "VMs", most=MOST_DOMAINS), start=1):
        known = _uuid_of(said)
        try:
            report = _report(said)
            if report.uuid in seen:
                raise Odd("its UUID is that of another")
        except Odd as odd:
            aside.put(f"VM {_called(said) or place}", odd)
            unknown += not known
            unread |= {known} if known else set()
            continue
        found.append(report)
        for sentence in (*report.top.odd, *(report.below.odd if report.below else ())):
            aside.add(sentence.replace("of the VM", f"of {report.name} of {host}", 1))
        seen.add(report.uuid)
    return Reports(tuple(found), frozenset(unread - seen), not unknown, aside.sentences)


def versions(answer: object) -> dict[str, int]:
    """`libvirt_version` and `qemu_version`. Raises Odd."""
    said = closed.entries(answer, "versions")
    return {
        name: closed.whole(closed.of(said, key), "version", most=closed.MOST_COUNT)
        for name, key in (("libvirt_version", "libvirt"), ("qemu_version", "hypervisor"))
    }


def sizes(answer: object) -> dict[str, dict[str, list[int | None]]]:
    """The answer to "disk_sizes": what is odd is left out. Raises Odd when it is another thing."""
    found: dict[str, dict[str, list[int | None]]] = {}
    for called, targets in closed.entries(answer, "sizes", most=MOST_DOMAINS).items():
        if not isinstance(targets, dict) or len(targets) > _MOST_TARGETS:
            continue
        pairs = {target: _pair(pair) for target, pair in targets.items()}
        found[called] = {target: pair for target, pair in pairs.items() if pair is not None}
    return found


def disk_errors(answer: object) -> dict[str, dict[str, DiskError]]:
    """The answer to "disk_errors": UUID → target → what stopped it. Raises Odd when it is another
    thing; what is odd in it is left out."""
    found: dict[str, dict[str, DiskError]] = {}
    for called, targets in closed.entries(answer, "disk errors", most=MOST_DOMAINS).items():
        if _plain_uuid(called) and isinstance(targets, dict) and len(targets) <= _MOST_TARGETS:
            found[called] = {
                target: disk_error_of(code)
                for target, code in targets.items()
                if len(target) <= 32 and closed.is_plain(target)
            }
    return found


def stats(answer: object) -> dict[str, Stats]:
    """The answer to "stats": fields that are whole numbers or words. Raises Odd when it is another
    thing."""
    found: dict[str, Stats] = {}
    for called, fields in closed.entries(answer, "numbers", most=MOST_DOMAINS).items():
        if _plain_uuid(called) and isinstance(fields, dict) and len(fields) <= _MOST_FIELDS:
            found[called] = {
                name: value for name, value in fields.items() if _is_field(name, value)
            }
    return found


def _is_field(name: str, value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= 255 and closed.is_plain(value) and name.endswith(".name")
    whole = isinstance(value, int) and not isinstance(value, bool)
    return whole and not name.endswith(".name") and -1 <= int(str(value)) <= 2**64


def _pair(pair: object) -> list[int | None] | None:
    if not isinstance(pair, list) or len(pair) != 2:
        return None
    try:
        return [None if size is None else closed.whole(size, "size") for size in pair]
    except Odd:
        return None


def _report(answer: object) -> Report:
    said = closed.entries(answer, "answer")
    called = _uuid_of(said)
    if not called:
        raise Odd("its UUID is none")
    xml = closed.of(said, "xml")
    inactive = closed.of(said, "inactive_xml")
    if not isinstance(xml, str) or not isinstance(inactive, str):
        raise Odd("its XML is not text")
    persistent = closed.flag(closed.of(said, "persistent"), "persistence")
    if not xml or (persistent and not inactive):
        raise Odd("its XML is missing or too long to be read")
    state = state_of(_number(closed.of(said, "state"), "state"))
    top = _parsed(xml)
    below = _parsed(inactive) if inactive else None
    return Report(
        uuid=called,
        name=closed.text(closed.of(said, "name"), "name"),
        state=state,
        reason=reason_of(state, _number(closed.of(said, "reason"), "reason")),
        run=_run(closed.of(said, "id")),
        persistent=persistent,
        autostart=closed.flag(closed.of(said, "autostart"), "autostart"),
        xml=xml,
        inactive_xml=inactive,
        top=top,
        below=below,
        rebooted=_times(closed.of(said, "rebooted")),
    )


def _parsed(xml: str) -> Domain:
    try:
        return domain_xml.parse(xml)
    except Odd:
        raise
    except ValueError as broken:
        raise Odd(f"its XML is not used: {broken}") from broken


def _number(answer: object, what: str) -> int:
    """Of a state or a reason; one beyond those known is that of a newer libvirt."""
    return closed.whole(answer, what, most=closed.MOST_COUNT)


def _times(answer: object) -> tuple[float, ...]:
    """Seconds of the epoch; what is none is left out."""
    said = closed.items(answer, "reboots", most=_MOST_REBOOTS)
    numbers = (one for one in said if isinstance(one, int | float) and not isinstance(one, bool))
    return tuple(float(one) for one in numbers if 0 <= one < _LATEST)


def _run(answer: object) -> int | None:
    """libvirt says -1 of a domain that is off."""
    if isinstance(answer, int) and not isinstance(answer, bool) and answer < 0:
        return None
    return closed.whole(answer, "number", most=closed.MOST_COUNT)


def _uuid_of(said: object) -> str:
    """As libvirt writes it; empty where it is none."""
    word = said.get("uuid") if isinstance(said, dict) else None
    return word if isinstance(word, str) and _plain_uuid(word) else ""


def _plain_uuid(word: str) -> bool:
    try:
        return str(uuid.UUID(word)) == word
    except ValueError:
        return False


def _called(said: object) -> str:
    """The name of an odd one, if it can be shown; else its UUID."""
    name = said.get("name") if isinstance(said, dict) else None
    if isinstance(name, str) and 0 < len(name) <= 64 and closed.is_plain(name):
        return name
    return _uuid_of(said)
