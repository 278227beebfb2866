"""Verbs as words of `./panel`: arguments from the fields, `--json`, and what is printed."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from labpanel.lib.actor import TERMINAL, Actor, ActorKind
from labpanel.lib.printable import printable
from labpanel.verbs.fields import Field, fields
from labpanel.verbs.http import jsonable
from labpanel.verbs.output import print_json
from labpanel.verbs.verb import AnyVerb

Options = argparse.Namespace
Run = Callable[[Options], int]


class Parser(argparse.ArgumentParser):
    """Wrong use is one sentence and status 2, without the usage text in between."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {printable(message)}. See `{self.prog} --help`.\n")


@dataclass(frozen=True, slots=True)
class PanelCommand:
    """What is typed. `verbs` are those that it does; `run` gives the exit status and may raise
    what is Said. A PanelCommand that does no verb is of the terminal alone. One that is not
    listed is a name from before, which still works."""

    words: tuple[str, ...]
    summary: str
    run: Run
    add_arguments: Callable[[argparse.ArgumentParser], None]
    verbs: tuple[AnyVerb, ...] = ()
    listed: bool = True


def parser_of(word: str, summary: str, commands: Sequence[PanelCommand]) -> Parser:
    """What takes the arguments after `word`; the options that it gives hold `command`."""
    parser = Parser(prog=f"./panel {word}", description=summary)
    if [one.words for one in commands] == [(word,)]:
        commands[0].add_arguments(parser)
        parser.set_defaults(command=commands[0])
        return parser
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for one in commands:
        word, says = one.words[1], one.summary
        if one.listed:
            below = actions.add_parser(word, description=says, help=says)
        else:
            below = actions.add_parser(word, description=says)
        one.add_arguments(below)
        below.set_defaults(command=one)
    return parser


def command_of(verb: AnyVerb) -> PanelCommand:
    """The command that follows from the declaration alone."""
    assert verb.show is not None, f"{verb.name} has no way to be shown"

    def add(parser: argparse.ArgumentParser) -> None:
        add_fields(parser, verb)
        if verb.signed:
            add_by(parser)
        add_json(parser)

    def run(options: Options) -> int:
        return answer(verb, options, read(verb, options))

    return PanelCommand(tuple(verb.name.split()), verb.summary, run, add, (verb,))


def answer(verb: AnyVerb, options: Options, given: Any) -> int:
    """Do it and print the answer; 0."""
    print_answer(verb, options, verb.perform(actor_of(options), given))
    return 0


def print_answer(verb: AnyVerb, options: Options, found: Any) -> None:
    """What `verb` gave, for people or as JSON."""
    if options.json:
        print_json(jsonable(verb.as_json(found)))
    elif verb.show is not None:
        verb.show(found)


def actor_of(options: Options) -> Actor:
    """The terminal, by the name that `--by` gives."""
    name = getattr(options, "by", None)
    return TERMINAL if name is None else Actor(ActorKind.TERMINAL, name)


def read(verb: AnyVerb, options: Options) -> Any:
    """The verb's input from what was typed."""
    values = {}
    for one in fields(verb.takes):
        typed = getattr(options, one.name) if one.hints.terminal else None
        value = one.hints.typed_default if typed is None else typed
        if value is not None:
            values[one.name] = value
    return verb.takes(**values)


def add_fields(parser: argparse.ArgumentParser, verb: AnyVerb) -> None:
    for one in fields(verb.takes):
        if one.hints.terminal:
            add_field(parser, one)


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")


def add_by(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--by", default=TERMINAL.name, metavar="NAME", help="who says so")


def add_field(parser: argparse._ActionsContainer, field: Field) -> None:
    """The field as a positional word or an option; what is not typed is None."""
    hints = field.hints
    if field.kind is bool:
        switch = field.default is False
        parser.add_argument(
            field.flag,
            dest=field.name,
            default=None,
            help=hints.help,
            action="store_true" if switch else argparse.BooleanOptionalAction,
        )
        return
    extra: dict[str, Any] = {"help": hints.help, "default": None}
    read = hints.read or (int if field.kind is int else None)
    for name, value in (("type", read), ("metavar", hints.metavar), ("choices", hints.choices)):
        if value is not None:
            extra[name] = value
    if field.kind is list:
        extra["action"] = "append"
    if not field.flag:
        if not field.required:
            extra["nargs"] = "?"
        parser.add_argument(field.name, **extra)
    else:
        parser.add_argument(field.flag, dest=field.name, required=field.required, **extra)
