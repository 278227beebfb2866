"""`./panel VERB …`: the operator's verbs, over the same services as the pages."""

import difflib
import os
import sys
from typing import Any

from django.core.management.base import BaseCommand
from django.db import DatabaseError

from labpanel.adapters.here.saving import trouble
from labpanel.lib.printable import printable
from labpanel.lib.said import Said
from labpanel.verbs import catalog
from labpanel.verbs.output import complain

_LONGEST_WORD = 4096  # PATH_MAX (limits.h): nothing that a verb takes is longer


def names() -> list[str]:
    """The first words of all verbs, as typed."""
    return list(catalog.places())


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
            try:
                print_help()
            except BrokenPipeError:
                return _reader_left()
            return 0 if words else 2
        if broken := [word for word in words if not _is_text(word)]:
            complain(f"./panel: {broken[0]!r} is not UTF-8.")
            return 2
        if long := [word for word in words if len(word) > _LONGEST_WORD]:
            complain(f"./panel: the argument {printable(long[0], 60)!r} is too long.")
            return 2
        if words[0] not in names():
            near = difflib.get_close_matches(words[0], names(), n=3)
            hint = f" Did you mean {' or '.join(near)}?" if near else ""
            complain(f"./panel: there is no verb {words[0]!r}.{hint} See `./panel help`.")
            return 2
        return run_verb(words[0], words[1:])


def run_verb(name: str, words: list[str]) -> int:
    try:
        options = catalog.parser(name).parse_args(words)
    except SystemExit as end:
        return int(end.code or 0)
    try:
        status: int = options.command.run(options)
    except Said as no:
        complain(no.sentence)
        return 1
    except (DatabaseError, OSError) as error:
        if isinstance(error, BrokenPipeError):
            return _reader_left()
        sentence = trouble(error)
        if not sentence:
            raise
        complain(sentence)
        return 1
    except KeyboardInterrupt:
        return 130
    return status


def _reader_left() -> int:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at exit
    return 141  # as a shell says of SIGPIPE: who read it has seen enough


def _is_text(word: str) -> bool:
    """Python hands bytes of an argument that are no UTF-8 as half surrogates (PEP 383)."""
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True


def print_help() -> None:
    print("./panel VERB …\n")  # noqa: T201
    for name in names():
        print(f"  {name:<14}{catalog.summary(name)}")  # noqa: T201
