"""`./panel prune [VM]`: drop the copies that the policies do not keep, or say which would go."""

import argparse
from typing import Any

from backups.selectors.retention import Plan, plans
from backups.selectors.stores import find_store
from backups.services.prune import ask_for_prune
from hosts.models import VM
from hosts.selectors.naming import find_vm
from labpanel.cli import waiting
from labpanel.cli.output import complain, gap, print_json, print_table, say
from labpanel.jobs.states import State

HELP = "drop the backups that the policies do not keep, with the reason for each"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("vm", nargs="?", help="all VMs without it")
    parser.add_argument("--store", help="all stores without it")
    parser.add_argument("--dry-run", action="store_true", help="only say what would go, and why")
    waiting.add_arguments(parser)


def run(options: argparse.Namespace) -> int:
    store = find_store(options.store) if options.store else None
    vms = [find_vm(options.vm)] if options.vm else list(VM.objects.order_by("name"))
    made = [plan for vm in vms for plan in plans(vm, store)]
    if options.dry_run:
        return _show(made, as_json=options.json)
    # One named VM is pruned even if nothing has to go: an earlier prune may be half-done.
    work = [plan for plan in made if plan.drop or options.vm]
    if not options.json:
        _show(made, as_json=False)
    return _prune(work, options)


def _show(made: list[Plan], *, as_json: bool) -> int:
    if as_json:
        print_json([plan.as_json() for plan in made])
        return 0
    if not made:
        say("There is no backup to prune.")
    for number, plan in enumerate(made):
        if number:
            gap()
        say(f"{plan.vm.name} in {plan.store.name}: {plan.rule}.")
        print_table(
            ["generation", "taken at (UTC)", "fate", "reason"],
            [
                (
                    each.generation.key,
                    f"{each.generation.taken_at:%Y-%m-%d %H:%M:%S}",
                    each.verdict.fate,
                    each.verdict.reason,
                )
                for each in plan.fates
            ],
        )
    return 0


def _prune(work: list[Plan], options: argparse.Namespace) -> int:
    """One store after the other: a VM is worked on by one job at a time."""
    results: list[dict[str, Any]] = []
    status = 0
    for plan in work:
        job = ask_for_prune(plan.vm, plan.store)
        if options.no_wait:
            results.append({"job": job.pk})
            if not options.json:
                say(f"Job {job.pk}: {job.title}.")
            continue
        ended = waiting.wait(job)
        if ended.state != State.DONE:
            complain(ended.sentence)
            status = 1
            continue
        results.append(ended.result or {})
        if not options.json:
            say(ended.sentence)
    if options.json:
        print_json(results)
    elif not work:
        say("Nothing has to go.")
    return status
