"""Taking a VM to another host: asking for it, and doing it."""

import contextlib
import secrets
from datetime import datetime
from typing import Any

from django.utils import timezone

from hosts.models import VM, Host
from hosts.services.vms.agreement import kept, word_of
from labpanel.adapters.errors import AdapterError
from labpanel.jobs import ledger
from labpanel.jobs.models import Job
from labpanel.jobs.work import Failed, Work
from labpanel.lib.actor import Actor
from labpanel.lib.definition import SILENCE, Word
from labpanel.lib.refusal import Refusal
from labpanel.moves.services import ends as both
from labpanel.moves.services.arrived import arrived
from labpanel.moves.services.handover import Handover
from labpanel.moves.services.move_cold import move_cold
from labpanel.moves.services.move_live import move_live
from labpanel.moves.services.owed import OpenMove
from labpanel.moves.services.plan import MovePlan, in_words, plan


def ask(
    vm: VM, to: Host | None, asked_by: Actor, word: Word = SILENCE, *, on_page: bool = False
) -> Job:
    """Open the job. Raises Refusal (409) with every obstacle, `on_page` without what is typed on a
    command line; Busy if the VM is worked on."""
    found = plan(vm, to, word)
    if not found.possible:
        raise Refusal(in_words(found.page_obstacles if on_page else found.obstacles), 409)
    return ledger.open_job(
        "move",
        f"Move {vm.name} to {found.target}",
        subject=f"vm:{vm.uuid}",
        lock_key=f"vm:{vm.uuid}",
        asked_by=asked_by,
        parameters={"vm": str(vm.uuid), "to": found.target, **kept(word)},
    )


def move(work: Work) -> dict[str, Any]:
    """Do the job: `{"vm", "from", "to", "way", "copied_bytes", "downtime_ms", "verified", "job",
    "sentence"}`."""
    given = work.job.parameters
    vm = VM.objects.select_related("host").get(uuid=given["vm"])
    source, destination = vm.host, Host.objects.get(name=given["to"])
    found = plan(vm, destination, word_of(given))
    if not found.possible:
        raise Failed(in_words(found.obstacles))
    for line in (*found.warnings, *found.draft.agreed):
        work.line(line)
    work.check()
    hand = handover(found, timezone.now())
    work.owe(OpenMove(source.pk, hand))
    work.line(f"Moving {vm.name} from {source.name} to {destination.name}, {found.way}.")
    with contextlib.ExitStack() as stack:
        opened = both.opened(source.endpoint(), destination.endpoint(), hand.token)
        try:
            ends = stack.enter_context(opened)
        except AdapterError:
            work.no_longer_owes(OpenMove)  # nothing was begun
            raise
        way = move_live if found.way == "live" else move_cold
        result = way(work, found, ends, hand)
    work.no_longer_owes(OpenMove)
    arrived(hand, timezone.now())
    return {
        "vm": vm.name,
        "from": source.name,
        "to": destination.name,
        "way": found.way,
        "copied_bytes": found.copied_bytes,
        **result,
        "job": work.job.pk,
        "sentence": f"{vm.name} is on {destination.name} now.{_pause(result)}",
    }


def handover(found: MovePlan, now: datetime) -> Handover:
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


def _pause(result: dict[str, Any]) -> str:
    if result["downtime_ms"] is None:
        return ""
    return f" Downtime: {result['downtime_ms']} ms."
