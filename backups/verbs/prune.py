"""`./panel prune [VM]`: drop the copies that the policies do not keep, or say which would go."""

import argparse
from dataclasses import dataclass
from typing import Any

from backups.selectors.copies.retention import RetentionJson, RetentionPlan, plans
from backups.selectors.stores.stores import find_store
from backups.services.prune.prune import ask_for_prune
from hosts.models import VM
from hosts.selectors.naming import find_vm
from labpanel.jobs import waiting
from labpanel.jobs.models import Job
from labpanel.jobs.opening import opened
from labpanel.jobs.states import State
from labpanel.lib.actor import Actor
from labpanel.verbs.command import Options, PanelCommand, actor_of, answer
from labpanel.verbs.fields import option, word
from labpanel.verbs.output import complain, gap, print_json, print_table, say
from labpanel.verbs.verb import ApiRoute, Verb


@dataclass(frozen=True, slots=True)
class Prune:
    vm: str = word()
    store: str = option("in this store")


@dataclass(frozen=True, slots=True)
class Retention:
    vm: str = word("all VMs without it", "")
    store: str = option("all stores without it", "")


def _do(actor: Actor, given: Prune) -> Job:
    return ask_for_prune(find_vm(given.vm), find_store(given.store), asked_by=actor)


def _plans(_: Actor, given: Retention) -> list[RetentionPlan]:
    store = find_store(given.store) if given.store else None
    vms = [find_vm(given.vm)] if given.vm else list(VM.objects.order_by("name"))
    return [plan for vm in vms for plan in plans(vm, store)]


def _rows(made: list[RetentionPlan]) -> list[RetentionJson]:
    return [plan.as_json() for plan in made]


def _show(made: list[RetentionPlan]) -> None:
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


PRUNE = Verb(
    "prune",
    "drop the backups of a VM in a store that its policy does not keep",
    Prune,
    _do,
    opened,
    ApiRoute("POST", "prunes", 202),
)
RETENTION = Verb(
    "retention",
    "say which backups a prune would drop and keep, and why",
    Retention,
    _plans,
    _rows,
    ApiRoute("GET", "retention"),
    _show,
)


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("vm", nargs="?", default="", help="all VMs without it")
    parser.add_argument("--store", default="", help="all stores without it")
    parser.add_argument("--dry-run", action="store_true", help="only say what would go, and why")
    waiting.add_arguments(parser)


def _run(options: Options) -> int:
    given = Retention(options.vm, options.store)
    if options.dry_run:
        return answer(RETENTION, options, given)
    made = RETENTION.perform(actor_of(options), given)
    # One named VM is pruned even if nothing has to go: an earlier prune may be unfinished.
    work = [plan for plan in made if plan.drop or options.vm]
    if not options.json:
        _show(made)
    return _prune(work, options)


def _prune(work: list[RetentionPlan], options: Options) -> int:
    """One store after the other: a VM is worked on by one job at a time."""
    results: list[dict[str, Any]] = []
    status = 0
    for plan in work:
        given = Prune(str(plan.vm.uuid), plan.store.name)
        job = PRUNE.perform(actor_of(options), given)
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


VERBS = (PRUNE, RETENTION)
COMMANDS = (
    PanelCommand(
        ("prune",),
        "drop the backups that the policies do not keep, with the reason for each",
        _run,
        _arguments,
        VERBS,
    ),
)
