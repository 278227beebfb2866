"""`./panel restore GENERATION --to HOST`: a backup becomes a VM, never over a file that exists."""

import argparse
from dataclasses import dataclass

from backups.selectors.copies.generations import find_generation
from backups.services.restore.ask_restore import RestoreRequest, ask_for_restore
from backups.verbs.generation import OneGeneration
from backups.verbs.policy.fields import from_mib
from hosts.selectors.naming import find_host
from labpanel.jobs.models import Job
from labpanel.jobs.opening import following, opened
from labpanel.lib.actor import Actor
from labpanel.lib.definition import spoken
from labpanel.lib.refusal import Refusal
from labpanel.verbs import reach
from labpanel.verbs.command import Options
from labpanel.verbs.fields import option
from labpanel.verbs.verb import ApiRoute, Verb


@dataclass(frozen=True, slots=True)
class Restore(OneGeneration):
    """`to` is needed unless in place. `disks` gives targets the generations that they come from.
    `accept_reach` is the code that a refusal names."""

    to: str = option("which host; left out when in place", "")
    name: str = option("a new name; it is a copy then", "")
    path: str = option("the folder for the disks", "")
    start: bool = option("start it when it is whole", False)
    in_place: bool = option(
        "put the disks in the place of the VM's own, which are kept aside", False
    )
    shut_down: bool = option("when in place: shut the VM down first", False)
    instant: bool = option(
        "run it within seconds on the backup's blocks, which are pulled in behind it", False
    )
    disks: dict[str, str] = option("disks that come from another generation", {})
    only: bool = option("only the disks that are named", False)
    definition: str = option("whose definition counts (the newest one's)", "")
    bytes_per_second: int = option("instantly: pull in at most so much", 0)
    accept_reach: str = option("let the VM reach into the host as the refusal lists it", "")
    drop_reach: bool = option("leave out what reaches into the host", False)


def _do(actor: Actor, given: Restore) -> Job:
    if not all(given.disks.values()):
        raise Refusal("The field 'disks' gives each disk the name of a generation.")
    definition = find_generation(given.definition) if given.definition else None
    wish = RestoreRequest(
        name=given.name,
        path=given.path,
        start=given.start,
        in_place=given.in_place,
        shut_down=given.shut_down,
        instant=given.instant,
        disks={target: find_generation(word) for target, word in given.disks.items()},
        only=given.only,
        definition=definition,
        bytes_per_second=given.bytes_per_second,
        word=spoken(given.accept_reach, drop=given.drop_reach),
    )
    host = find_host(given.to) if given.to else None
    return ask_for_restore(find_generation(given.generation), host, wish, asked_by=actor)


RESTORE = Verb(
    "restore",
    "bring a backup, or disks of several, back as a VM",
    Restore,
    _do,
    opened,
    ApiRoute("POST", "generations/<str:generation>/restore", 202),
)


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("generation", help="its name, or the unique beginning of it")
    parser.add_argument(
        "--to", metavar="HOST", default="", help="which host; left out with --in-place"
    )
    parser.add_argument("--name", default="", help="a new name; it is a copy then")
    parser.add_argument("--path", default="", help="the folder for the disks")
    parser.add_argument(
        "--disk",
        action="append",
        default=[],
        metavar="DISK[=GENERATION]",
        help="take this disk from another generation; may be given for several disks",
    )
    parser.add_argument("--only", action="store_true", help="only the disks named by --disk")
    parser.add_argument(
        "--definition",
        metavar="GENERATION",
        default="",
        help="whose definition counts (the newest one's)",
    )
    parser.add_argument("--start", action="store_true", help="start it when it is whole")
    _add_ways(parser)
    reach.add_arguments(parser)


def _add_ways(parser: argparse.ArgumentParser) -> None:
    ways = parser.add_mutually_exclusive_group()
    ways.add_argument(
        "--in-place",
        action="store_true",
        help="put the disks in the place of the VM's own, which are kept aside",
    )
    ways.add_argument(
        "--instant",
        action="store_true",
        help="run it within seconds on the backup's blocks, which are pulled in behind it",
    )
    parser.add_argument(
        "--shut-down", action="store_true", help="with --in-place: shut the VM down first"
    )
    parser.add_argument(
        "--cap",
        dest="bytes_per_second",
        type=from_mib,
        default=0,
        metavar="MIB",
        help="with --instant: pull in at most so many MiB a second",
    )


def _read(options: Options) -> Restore:
    return Restore(
        options.generation,
        to=options.to,
        name=options.name,
        path=options.path,
        start=options.start,
        in_place=options.in_place,
        shut_down=options.shut_down,
        instant=options.instant,
        disks=dict(_named(word, options.generation) for word in options.disk),
        only=options.only,
        definition=options.definition,
        bytes_per_second=options.bytes_per_second,
        accept_reach=options.accept_reach,
        drop_reach=options.drop_reach,
    )


def _named(word: str, main: str) -> tuple[str, str]:
    target, equals, key = word.partition("=")
    if not target or (equals and not key):
        raise Refusal(f"--disk {word!r} is not DISK or DISK=GENERATION.")
    return target, key or main


VERBS = (RESTORE,)
COMMANDS = (following(RESTORE, _arguments, _read),)
