"""`./panel clock [confirm]`: whether the panel believes its clock."""

import argparse
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypedDict

from labpanel.clock.selectors import watched
from labpanel.clock.services.confirm import confirm
from labpanel.lib.actor import Actor
from labpanel.lib.clock import sentence
from labpanel.verbs.command import Options, PanelCommand, add_by, add_json, answer
from labpanel.verbs.output import say
from labpanel.verbs.verb import ApiRoute, Nothing, Verb


class ClockJson(TypedDict):
    """`doubt` is empty where there is none."""

    now: str
    doubt: str
    off_seconds: int


@dataclass(frozen=True, slots=True)
class ClockState:
    """`now` by the clock, what is doubtful about it, and by how much it is off."""

    now: datetime
    doubt: str
    off_seconds: int


def _do(_: Actor, __: Nothing) -> ClockState:
    known = watched()
    doubt = sentence(known)
    off = round(known.off) if doubt else 0
    return ClockState(datetime.fromtimestamp(known.wall, UTC), doubt, off)


def _confirm(actor: Actor, given: Nothing) -> ClockState:
    confirm(actor)
    return _do(actor, given)


def _as_json(seen: ClockState) -> ClockJson:
    return {"now": seen.now.isoformat(), "doubt": seen.doubt, "off_seconds": seen.off_seconds}


def _show(seen: ClockState) -> None:
    say(f"It is {seen.now:%Y-%m-%d %H:%M:%S} UTC.")
    say(seen.doubt or "The clock agrees with what the panel saw before.")


CLOCK = Verb(
    "clock",
    "whether the panel believes its clock",
    Nothing,
    _do,
    _as_json,
    ApiRoute("GET", "clock"),
    _show,
)
CONFIRM = Verb(
    "clock confirm",
    "say that the clock is right",
    Nothing,
    _confirm,
    _as_json,
    ApiRoute("POST", "clock/confirm"),
    _show,
    signed=True,
)


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("act", nargs="?", choices=["confirm"])
    add_by(parser)
    add_json(parser)


def _run(options: Options) -> int:
    return answer(CONFIRM if options.act else CLOCK, options, Nothing())


VERBS = (CLOCK, CONFIRM)
COMMANDS = (
    PanelCommand(
        ("clock",),
        "whether the panel believes its clock; confirm says that it is right",
        _run,
        _arguments,
        VERBS,
    ),
)
