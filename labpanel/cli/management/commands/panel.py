"""`./panel VERB …`: the operator's verbs, over the same services as the pages."""

import argparse
import difflib
import importlib
import os
import pkgutil
import sys
from typing import Any, NoReturn

from django.core.management.base import BaseCommand

from labpanel.adapters.errors import AdapterError
from labpanel.cli import verbs
from labpanel.jobs.ledger import Busy
from labpanel.jobs.work import Failed
from labpanel.lib.refusal import Refusal


class Parser(argparse.ArgumentParser):
    """Wrong use is one sentence and status 2, without the usage text in between."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}. See `{self.prog} --help`.\n")


def names() -> list[str]:
    """The verbs, as typed: the module first_link is the verb first-link."""
    return [module.name.replace("_", "-") for module in pkgutil.iter_modules(verbs.__path__)]


class Command(BaseCommand):
    help = "The operator's verbs."
    requires_system_checks: list[str] = []
    requires_migrations_checks = False

    def run_from_argv(self, argv: list[str]) -> None:
        sys.exit(self.dispatch(argv[2:]))

    def handle(self, *args: Any, **options: Any) -> str | None:
        status = self.dispatch(list(args))
        return str(status) if status else None

    def dispatch(self, words: list[str]) -> int:
        if not words or words[0] in {"-h", "--help", "help"}:
            print_help()
            return 0 if words else 2
        if words[0] not in names():
            near = difflib.get_close_matches(words[0], names(), n=3)
            hint = f" Did you mean {' or '.join(near)}?" if near else ""
            print(  # noqa: T201
                f"./panel: there is no verb {words[0]!r}.{hint} See `./panel help`.",
                file=sys.stderr,
            )
            return 2
        return run_verb(words[0], words[1:])


def run_verb(name: str, words: list[str]) -> int:
    module = importlib.import_module(f"labpanel.cli.verbs.{name.replace('-', '_')}")
    parser = Parser(prog=f"./panel {name}", description=module.HELP)
    module.add_arguments(parser)
    try:
        options = parser.parse_args(words)
    except SystemExit as end:
        return int(end.code or 0)
    try:
        status: int = module.run(options)
    except (AdapterError, Failed, Refusal, Busy) as refusal:
        print(refusal.sentence, file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at exit
        return 141  # as a shell says of SIGPIPE: who read it has seen enough
    return status


def print_help() -> None:
    print("./panel VERB …\n")  # noqa: T201
    for name in names():
        module = importlib.import_module(f"labpanel.cli.verbs.{name.replace('-', '_')}")
        print(f"  {name:<14}{module.HELP}")  # noqa: T201
