"""What sampling costs: the worker's CPU for each VM and turn, and a running panel's memory.

The first part puts made-up answers of five hosts with thirty VMs through everything that a worker
does with them: reading the answer, rates, rows, the turn's roll-up and pruning. The second looks
at the panel that runs on this machine, if one does.
"""

import argparse
import json
import time

from django.core.management import call_command
from django.db import connection

from hosts.models import VM, Host, Sample10s, Subject
from hosts.services.samples.prune_samples import prune
from hosts.services.samples.roll_up import roll_up
from hosts.services.samples.sample import record_machine, record_vms
from lab.bench import made_up_lab, processes, readings, scratch
from labpanel.verbs.output import print_table, say

BAR_MS, BAR_BYTES = 2.0, 400 * 2**20
TURNS = 120
WATCHED = 20.0


class MemoryTurnCache:
    """In memory: Redis' part of the work is done by Redis."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def take(self, key: str) -> bytes | None:
        return self.kept.get(key)

    def put(self, key: str, value: bytes, seconds: int) -> None:
        self.kept[key] = value


def run(options: argparse.Namespace) -> int:
    call_command("migrate", verbosity=0)
    made_up_lab.make()
    Subject.objects.all().delete()
    cheap = measure_turns()
    small = measure_panel()
    return 0 if cheap and small else 1


def measure_turns() -> bool:
    """CPU of TURNS turns; True when the bar is reached."""
    hosts = list(Host.objects.prefetch_related("vms"))
    vms = VM.objects.count()
    shelf = MemoryTurnCache()
    start = int(time.time()) - TURNS * 10
    spent = {"VMs": 0.0, "hosts": 0.0, "roll-up": 0.0}
    for turn in range(TURNS):
        at = start + turn * 10
        for host in hosts:
            own = list(host.vms.all())
            text = readings.libvirt_answer([str(vm.uuid) for vm in own], own[0].pk - 1, turn)
            proc = readings.proc_answer(turn)
            began = time.process_time()
            record_vms(host, json.loads(text), at, shelf)
            middle = time.process_time()
            record_machine(host, proc, at, shelf)
            spent["VMs"] += middle - began
            spent["hosts"] += time.process_time() - middle
        if turn % 6 == 5:
            began = time.process_time()
            roll_up(at)
            prune(at)
            spent["roll-up"] += time.process_time() - began
        connection.queries_log.clear()
    each = {name: seconds * 1000 / (TURNS * vms) for name, seconds in spent.items()}
    whole = sum(each.values())
    parts = ", ".join(f"{name} {part:.2f}" for name, part in each.items())
    say(f"{Sample10s.objects.count()} rows of {vms} VMs on {len(hosts)} hosts in {TURNS} turns.")
    say(f"{whole:.2f} ms of worker CPU for each VM and turn (bar {BAR_MS:g}): {parts}.")
    return whole <= BAR_MS


def measure_panel() -> bool:
    """Memory and CPU of the panel that runs here; True when the bar is reached or none runs."""
    home = scratch.outer_home()
    before = {process.pid: process for process in processes.of_panel(home)}
    if not before:
        say(f"No panel runs for {home}: its memory is not measured. Start it and ask again.")
        return True
    time.sleep(WATCHED)
    now = processes.of_panel(home)
    rows = [
        (
            process.name,
            process.rss >> 20,
            process.pss >> 20,
            f"{(process.cpu - before[process.pid].cpu) * 100 / WATCHED:.1f}"
            if process.pid in before
            else None,
        )
        for process in now
    ]
    print_table(("process", "RSS MiB", "PSS MiB", "CPU %"), rows)
    rss, pss = sum(process.rss for process in now), sum(process.pss for process in now)
    say(
        f"{len(now)} processes: {rss >> 20} MiB resident, {pss >> 20} MiB with what they share "
        f"counted once (bar {BAR_BYTES >> 20})."
    )
    return pss <= BAR_BYTES
