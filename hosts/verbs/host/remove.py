"""`./panel host remove NAME`: forget a host."""

import argparse
import sys

from hosts.selectors.naming import find_host
from hosts.services.machines import remove_host
from hosts.verbs.host.show import OneHost
from labpanel.lib.actor import Actor
from labpanel.lib.refusal import Refusal
from labpanel.verbs.command import Options, PanelCommand, add_fields, add_json, answer, read
from labpanel.verbs.output import say
from labpanel.verbs.verb import ApiRoute, Verb, as_sentence


def _do(_: Actor, given: OneHost) -> str:
    return remove_host.remove(find_host(given.name))


REMOVE = Verb(
    "host remove",
    "forget a host; the machine is not touched",
    OneHost,
    _do,
    as_sentence,
    ApiRoute("DELETE", "hosts/<str:name>"),
    say,
)


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_fields(parser, REMOVE)
    parser.add_argument("--yes", action="store_true", help="do not ask")
    add_json(parser)


def _run(options: Options) -> int:
    given = read(REMOVE, options)
    host = find_host(given.name)
    if not options.yes and sys.stdin.isatty():
        say(remove_host.what_goes(host))
        if input("Type the host's name to go on: ").strip() != host.name:
            raise Refusal("Not confirmed; nothing was removed.")
    return answer(REMOVE, options, given)


VERBS = (REMOVE,)
COMMANDS = (PanelCommand(("host", "remove"), REMOVE.summary, _run, _arguments, (REMOVE,)),)
