"""How is a VM, in a few words: the worst of its own state and of what its host suffers from. Pure.

A page that shows a VM shows this, so that none is greener than another.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from labpanel.symptoms.kinds import Kind

ORDER = ("bad", "unknown", "watch", "good", "excluded")


@dataclass(frozen=True, slots=True)
class Condition:
    level: str
    words: str


@dataclass(frozen=True, slots=True)
class Touch:
    """An open finding that names the VM: its kind, severity, and whether it is about a host or a
    VM."""

    kind: str
    severity: str
    about: str


_BAD: dict[str, str] = {
    Kind.FILE_SYSTEM: "cannot write",
    Kind.DRIVE: "its drive fails",
    Kind.TWO_HOSTS: "on two hosts",
    Kind.VM_CRASHED: "crashed",
    Kind.VM_PAUSED: "paused by an error",
    Kind.VM_OFF: "off since its host started",
    Kind.VM_GONE: "missing",
    Kind.VM_RESTARTS: "starts again and again",
}
_WATCH: dict[str, str] = {
    Kind.DRIVE: "its drive is to be watched",
    Kind.FILE_SYSTEM: "its file system is to be checked",
}
# That a host does not answer says nothing bad of its VMs: they are unknown.
_SILENCE = {Kind.HOST, Kind.LIBVIRT, Kind.CHECK}


def condition(
    *, state: str, on: bool, missing: bool, known: bool, touches: Sequence[Touch]
) -> Condition:
    """`known` is whether its host and libvirt answer; `state` is libvirt's last word."""
    telling = [each for each in touches if each.kind not in _SILENCE]
    bad = next((each for each in telling if each.severity == "bad"), None)
    if bad is not None:
        return Condition("bad", _BAD.get(bad.kind, "in trouble"))
    if not known:
        return Condition("unknown", "unknown")
    if missing:
        return Condition("bad", "missing")
    if state == "crashed":
        return Condition("bad", "crashed")
    if telling:
        return Condition("watch", _WATCH.get(telling[0].kind, "to be looked at"))
    if state == "paused":
        return Condition("watch", "paused")
    return Condition("good", ("running" if state == "running" else state) if on else "off")


def worst_of(own: Condition, copy_level: str, copy_words: str) -> Condition:
    """With the copies' state beside it: the worst level, and what is not well in words."""
    level = min((own.level, copy_level), key=ORDER.index)
    if own.level == "good" and copy_level == "excluded":
        level = "good"
    words = copy_words if own.level == "good" else f"{own.words} · {copy_words}"
    return Condition(level, words)
