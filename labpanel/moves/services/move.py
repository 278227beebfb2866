"""Taking a VM to another host: asking for it, and doing it."""

import secrets
from datetime import datetime
from typing import Any

from django.utils import timezone

from hosts.models import VM, Host
from hosts.services.look import look
from labpanel.adapters import bus
from labpanel.jobs import ledger
from labpanel.jobs.models import Job
from labpanel.jobs.work import Failed, Work
from labpanel.lib.refusal import Refusal
from labpanel.moves.services import ends as both
from labpanel.moves.services.handover import Handover
from labpanel.moves.services.move_cold import move_cold
from labpanel.moves.services.move_live import move_live
from labpanel.moves.services.plan import Plan, in_words, plan


def ask(vm: VM, to: Host | None, asked_by: str) -> Job:
    """Open the job. Raises Refusal (409) with every obstacle, Busy if the VM is worked on."""
    found = plan(vm, to)
    if not found.possible:
        raise Refusal(in_words(found.obstacles), 409)
    return ledger.open_job(
        "move",
        f"Move {vm.name} to {found.target}",
        subject=f"vm:{vm.uuid}",
        lock_key=f"vm:{vm.uuid}",
        asked_by=asked_by,
        parameters={"vm": str(vm.uuid), "to": found.target},
    )


def move(work: Work) -> dict[str, Any]:
    """Do the job: `{"vm", "from", "to", "way", "downtime_ms", "verified", "job", "sentence"}`."""
    given = work.job.parameters
    vm = VM.objects.select_related("host").get(uuid=given["vm"])
    source, destination = vm.host, Host.objects.get(name=given["to"])
    found = plan(vm, destination)
    if not found.possible:
        raise Failed(in_words(found.obstacles))
    for warning in found.warnings:
        work.line(warning)
    work.check()
    hand = handover(found, timezone.now())
    work.remember(handover=hand.kept())
    work.line(f"Moving {vm.name} from {source.name} to {destination.name}, {found.way}.")
    with both.opened(source.endpoint(), destination.endpoint(), hand.token) as ends:
        way = move_live if found.way == "live" else move_cold
        result = way(work, found, ends, hand)
    work.remember(open=False)
    arrived(hand, timezone.now())
    return {
        "vm": vm.name,
        "from": source.name,
        "to": destination.name,
        "way": found.way,
        **result,
        "job": work.job.pk,
        "sentence": f"{vm.name} is on {destination.name} now.{_pause(result)}",
    }


def handover(found: Plan, now: datetime) -> Handover:
    """What is written down before anything is touched."""
    assert found.source is not None and found.chosen is not None
    facts, paths = found.source, found.chosen.target.paths
    nvram = [facts.needs.nvram] if facts.needs.nvram else []
    return Handover(
        uuid=found.vm_uuid,
        name=found.vm,
        source=found.host,
        destination=found.chosen.target.name,
        token=secrets.token_hex(6),
        way=found.way,
        # A live migration carries the NVRAM's content itself; libvirt makes the file.
        made=[
            *(paths[disk.source] for disk in found.disks),
            *(nvram if found.way == "cold" else ()),
        ],
        left=[*(disk.source for disk in found.disks), *nvram],
        suffix=f".moved-{now:%Y%m%dT%H%M%SZ}",
        runs=facts.now.active and facts.now.state != VM.State.PAUSED,
        autostart=facts.now.autostart,
    )


def arrived(hand: Handover, now: datetime) -> None:
    """The VM is its new host's at once; the hosts' own inventories tell the rest."""
    destination = Host.objects.get(name=hand.destination)
    VM.objects.filter(uuid=hand.uuid).update(host=destination, missing_since=None)
    bus.publish("inventory")
    for name in (hand.destination, hand.source):
        look(Host.objects.get(name=name), now)


def _pause(result: dict[str, Any]) -> str:
    if result["downtime_ms"] is None:
        return ""
    return f" It stood still for {result['downtime_ms']} ms."
