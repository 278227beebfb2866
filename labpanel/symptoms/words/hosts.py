"""Words for hosts that do not answer, or that answer oddly."""

from datetime import datetime

from labpanel.symptoms.facts.hosts import (
    FailedCheck,
    OddAnswers,
    SameMachine,
    SilentHost,
    SilentLibvirt,
)
from labpanel.symptoms.words.wording import Wording, clock


def silent_host(facts: SilentHost, now: datetime) -> Wording:
    advice = "See whether it has power and network. What its VMs do is unknown until it answers."
    return _silence(f"{facts.host} does not answer since", advice, facts, now)


def silent_libvirt(facts: SilentLibvirt, now: datetime) -> Wording:
    advice = (
        "The VMs may well go on running. Look at libvirt's log on the host "
        "(`journalctl -u libvirtd -u virtqemud`) and restart it; that leaves the VMs alone."
    )
    return _silence(f"libvirt on {facts.host} does not answer since", advice, facts, now)


def _silence(
    sentence: str, advice: str, facts: SilentHost | SilentLibvirt, now: datetime
) -> Wording:
    """One that answers with a refusal is not silent: its own words are the sentence, and what they
    say to do is the advice."""
    since = clock(facts.since, now)
    head, _, rest = facts.refusal.partition(". ")
    if head:
        return Wording(f"{head.rstrip('.')} (since {since})", rest or advice)
    return Wording(f"{sentence} {since}", advice)


def failed_check(facts: FailedCheck, now: datetime) -> Wording:
    since = clock(facts.since, now)
    hangs = (
        "See whether commands hang on the host (`ps`, `journalctl -k`): a hung disk often begins "
        "like this."
    )
    return Wording(
        f"{facts.host} answers, but its health check has failed since {since}",
        hangs if facts.hangs else facts.error,
    )


def odd_answers(facts: OddAnswers) -> Wording:
    more = f" {facts.others} more answers make no sense." if facts.others > 1 else ""
    more = " One more answer makes no sense." if facts.others == 1 else more
    return Wording(
        f"{facts.first}{more}",
        f"Everything else of {facts.host} is watched as before. See whether its hardware, "
        "its libvirt or its tools are broken; a host that answers so on purpose is not to be "
        "trusted.",
    )


def same_machine(facts: SameMachine) -> Wording:
    host, first = facts.host, facts.first
    return Wording(
        f"{host} is the same machine as {first}",
        f"A backup on {host} does not outlive {first}, and is not counted as one on "
        f"another machine. Remove one of the two: `./panel host remove {host}` forgets "
        "the name and leaves the machine alone. If they are two machines of which one is a "
        "copy of the other's disk, give one its own id: `rm /etc/machine-id && "
        "systemd-machine-id-setup`, and restart it.",
    )
