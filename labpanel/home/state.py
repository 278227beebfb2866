"""The lab in one sentence: what is wrong, what it means, what to do. Pure but for its inputs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from labpanel.lib.units import count, listed


class Trouble(Protocol):
    """What a finding says (hosts.models.Finding)."""

    severity: str
    sentence: str
    advice: str
    opened_at: datetime


@dataclass(frozen=True, slots=True)
class Silence:
    """A host, or its libvirt, that does not answer."""

    host: str
    since: datetime | None
    reason: str
    vms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DiskState:
    """One virtual disk's coverage. `level` is one of backups.rules.coverage.LEVEL_ORDER."""

    vm: str
    disk: str
    level: str
    reason: str


@dataclass(frozen=True, slots=True)
class Say:
    """`more` are the further troubles, worst first, a sentence each."""

    level: str
    title: str
    text: str = ""
    since: datetime | None = None
    more: list[str] = field(default_factory=list)
    finding: Trouble | None = None
    to_coverage: bool = False


def say(
    findings: Sequence[Trouble],
    silences: Sequence[Silence],
    disks: Sequence[DiskState],
    hosts: int,
    vms: int,
    unchecked: Sequence[str] = (),
) -> Say:
    """Worst first: what fails, who is silent, what has no copy, what is to be watched. Of hosts
    in `unchecked` nobody knows whether their file systems take writes."""
    spoken = [
        *(_of_finding(each) for each in findings if each.severity == "bad"),
        *(_of_silence(each) for each in silences),
        *_of_disks([disk for disk in disks if disk.level == "bad"], "bad"),
        *(_of_finding(each) for each in findings if each.severity != "bad"),
        *_of_disks([disk for disk in disks if disk.level == "watch"], "watch"),
        *_of_disks([disk for disk in disks if disk.level == "unknown"], "unknown"),
        *_of_unchecked(unchecked),
    ]
    if not spoken:
        return _well(hosts, vms, disks)
    first, *rest = spoken
    more = [each.title for each in rest]
    return Say(
        first.level, first.title, first.text, first.since, more, first.finding, first.to_coverage
    )


def _of_finding(finding: Trouble) -> Say:
    return Say(
        finding.severity, finding.sentence, finding.advice, finding.opened_at, finding=finding
    )


def _of_silence(silence: Silence) -> Say:
    about = f" What {listed(list(silence.vms))} do is unknown." if silence.vms else ""
    if len(silence.vms) == 1:
        about = f" What {silence.vms[0]} does is unknown."
    return Say("bad", f"{silence.host} does not answer.", silence.reason + about, silence.since)


def _of_unchecked(names: Sequence[str]) -> list[Say]:
    if not names:
        return []
    title = f"The file systems of {listed(list(names))} were not checked in the last minutes."
    return [Say("unknown", title, "This takes half a minute after the panel was started.")]


def _of_disks(disks: Sequence[DiskState], level: str) -> list[Say]:
    if not disks:
        return []
    names = [f"{disk.disk} of {disk.vm}" for disk in disks]
    if len(disks) == 1:
        title = f"{names[0]}: {_lowered(disks[0].reason)}"
    elif level == "bad":
        title = f"{count(len(disks), 'virtual disk')} would be lost with their host."
    elif level == "watch":
        title = f"{count(len(disks), 'virtual disk')} have copies that are not proven or are old."
    else:
        title = f"The copies of {count(len(disks), 'virtual disk')} are unknown now."
    text = "" if len(disks) == 1 else f"{listed(names[:4] + _others(names[4:]))}."
    return [Say(level, title, text, to_coverage=True)]


def _others(names: Sequence[str]) -> list[str]:
    return [count(len(names), "other")] if names else []


def _lowered(reason: str) -> str:
    return reason[:1].lower() + reason[1:]


def _well(hosts: int, vms: int, disks: Sequence[DiskState]) -> Say:
    where = f"{count(vms, 'virtual machine')} on {count(hosts, 'host')}."
    out = [disk for disk in disks if disk.level == "excluded"]
    kept = ""
    if len(out) < len(disks):
        but = f" but {count(len(out), 'disk')} left out on purpose" if out else ""
        kept = f" Every disk{but} has a proven copy on another machine."
    return Say("good", "All is well.", where + kept)
