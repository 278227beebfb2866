"""The lab in one sentence: what is wrong, what it means, what to do. Pure but for its inputs."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from labpanel.lib.clock import ADVICE
from labpanel.lib.units import count, listed

SILENT = "silent"


class Trouble(Protocol):
    """What a finding says (hosts.models.Finding)."""

    severity: str
    opened_at: datetime

    @property
    def sentence(self) -> str: ...
    @property
    def advice(self) -> str: ...
    @property
    def where(self) -> str:
        """The name of its host."""


class OddCopy(Protocol):
    """A copy that counts for nothing (backups.selectors.copies.doubtful)."""

    @property
    def generation(self) -> str: ...
    @property
    def vm(self) -> str: ...
    @property
    def store(self) -> str: ...
    @property
    def severity(self) -> str: ...
    @property
    def sentence(self) -> str: ...
    @property
    def advice(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Silence:
    """A host, or its libvirt, that does not answer."""

    host: str
    since: datetime | None
    reason: str
    vms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DiskState:
    """One virtual disk's coverage. `level` is one of LEVEL_ORDER in
    backups.rules.coverage.coverage."""

    vm: str
    disk: str
    level: str
    reason: str
    host: str = ""


@dataclass(frozen=True, slots=True)
class Headline:
    """`more` are the further troubles, worst first, a sentence each; `host` is the one of which
    it speaks. `kind`, `about`, `subject`, `vms`, `place` (a host) and `store` say for programs what
    a sentence says for people."""

    level: str
    title: str
    text: str = ""
    since: datetime | None = None
    more: list[str] = field(default_factory=list)
    finding: Trouble | None = None
    to_coverage: bool = False
    to_clock: bool = False
    host: str = ""
    kind: str = ""
    about: str = "host"
    subject: str = ""
    vms: tuple[str, ...] = ()
    place: str = ""
    store: str = ""


def headline(
    findings: Sequence[Trouble],
    silences: Sequence[Silence],
    disks: Sequence[DiskState],
    hosts: int,
    vms: int,
    unchecked: Sequence[str] = (),
    clock: str = "",
    copies: Sequence[OddCopy] = (),
) -> Headline:
    """The first of what is `spoken`, the others behind it; or that all is well."""
    found = spoken(findings, silences, disks, unchecked, clock, copies)
    return first_of(found, disks, hosts, vms)


def first_of(
    found: Sequence[Headline], disks: Sequence[DiskState], hosts: int, vms: int
) -> Headline:
    """The lab in one sentence, of all that is wrong."""
    if not found:
        return _well(hosts, vms, disks)
    first, *rest = found
    return replace(first, more=[each.title for each in rest])


def spoken(
    findings: Sequence[Trouble],
    silences: Sequence[Silence],
    disks: Sequence[DiskState],
    unchecked: Sequence[str] = (),
    clock: str = "",
    copies: Sequence[OddCopy] = (),
) -> list[Headline]:
    """Worst first: what fails, what does not answer, what has no copy, what is to be watched. Of
    hosts in `unchecked` it is unknown whether their file systems take writes. `clock` is what the
    panel's own clock did that it is not believed; `copies` are those that count for nothing."""
    of_clock = Headline("watch", clock, ADVICE, to_clock=True, kind="clock", about="panel")
    return [
        *(_of_finding(each) for each in findings if each.severity == "bad"),
        *(_of_silence(each) for each in silences),
        *_of_disks([disk for disk in disks if disk.level == "bad"], "bad"),
        *_of_copies([each for each in copies if each.severity == "bad"], "bad"),
        *(_of_finding(each) for each in findings if each.severity != "bad"),
        *_of_copies([each for each in copies if each.severity != "bad"], "watch"),
        *([of_clock] if clock else []),
        *_of_disks([disk for disk in disks if disk.level == "watch"], "watch"),
        *_of_disks([disk for disk in disks if disk.level == "unknown"], "unknown"),
        *_of_unchecked(unchecked),
    ]


def _of_finding(finding: Trouble) -> Headline:
    return Headline(
        finding.severity,
        finding.sentence,
        finding.advice,
        finding.opened_at,
        finding=finding,
        host=finding.where,
    )


def _of_copies(copies: Sequence[OddCopy], level: str) -> list[Headline]:
    if len(copies) < 2:
        return [
            Headline(
                level,
                each.sentence,
                each.advice,
                kind="copy",
                about="store",
                subject=each.generation,
                vms=(each.vm,),
                store=each.store,
            )
            for each in copies
        ]
    text = " ".join(each.sentence for each in copies[:3])
    more = f" And {count(len(copies) - 3, 'other')}." if len(copies) > 3 else ""
    names = tuple(dict.fromkeys(each.vm for each in copies))
    title = f"{len(copies)} copies count for nothing."
    return [Headline(level, title, text + more, kind="copy", about="store", vms=names)]


def _of_silence(silence: Silence) -> Headline:
    about = f" What {listed(list(silence.vms))} do is unknown." if silence.vms else ""
    if len(silence.vms) == 1:
        about = f" What {silence.vms[0]} does is unknown."
    return Headline(
        "bad",
        f"{silence.host} does not answer.",
        silence.reason + about,
        silence.since,
        host=silence.host,
        kind=SILENT,
        vms=silence.vms,
        place=silence.host,
    )


def _of_unchecked(names: Sequence[str]) -> list[Headline]:
    if not names:
        return []
    title = f"The file systems of {listed(list(names))} were not checked in the last minutes."
    text = "This takes half a minute after the panel was started."
    return [Headline("unknown", title, text, kind="unchecked", subject=listed(list(names)))]


def _of_disks(disks: Sequence[DiskState], level: str) -> list[Headline]:
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
    vms = tuple(dict.fromkeys(disk.vm for disk in disks))
    hosts = {disk.host for disk in disks}
    place = hosts.pop() if len(hosts) == 1 else ""
    return [
        Headline(
            level, title, text, to_coverage=True, kind="coverage", about="vm", place=place, vms=vms,
            subject=", ".join(names),
        )
    ]  # fmt: skip


def _others(names: Sequence[str]) -> list[str]:
    return [count(len(names), "other")] if names else []


def _lowered(reason: str) -> str:
    return reason[:1].lower() + reason[1:]


def _well(hosts: int, vms: int, disks: Sequence[DiskState]) -> Headline:
    where = f"{count(vms, 'virtual machine')} on {count(hosts, 'host')}."
    out = [disk for disk in disks if disk.level == "excluded"]
    kept = ""
    if len(out) < len(disks):
        but = f" but {count(len(out), 'disk')} left out on purpose" if out else ""
        kept = f" Every disk{but} has a proven copy on another machine."
    return Headline("good", "All is well.", where + kept)
