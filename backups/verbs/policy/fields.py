"""The fields of a policy, as the API takes them and as they are typed."""

import argparse
from dataclasses import dataclass, fields
from datetime import time
from typing import Any, cast

from backups.services.policies.save_policy import Changes
from labpanel.lib.refusal import Refusal
from labpanel.verbs.command import Options, add_field
from labpanel.verbs.fields import fields as declared
from labpanel.verbs.fields import option


@dataclass(frozen=True, slots=True)
class PolicyInput:
    """What is None stays as it is. A cap of 0 means none; an empty time of the window likewise."""

    cron: str | None = option("when: five fields as in crontab(5), `0 2 * * 0`", None)
    timezone: str | None = option("of that time, `Europe/Berlin`", None, metavar="NAME")
    places: list[str] | None = option(
        "far, near, or a store's name", None, flag="--to", metavar="PLACE"
    )
    keep_last: int | None = option("how many of the newest copies to keep", None, metavar="N")
    keep_daily: int | None = option("and one a day for so many days", None, metavar="N")
    keep_weekly: int | None = option("and one a week for so many weeks", None, metavar="N")
    keep_monthly: int | None = option("and one a month for so many months", None, metavar="N")
    verify_days: int | None = option("copies are read back at least so often", None, metavar="N")
    rehearse_days: int | None = option(
        "copies are booted at least so often; 0: never", None, metavar="N"
    )
    deep_days: int | None = option(
        "everything is read, whatever the bitmap says, so often", None, metavar="N"
    )
    bytes_per_second: int | None = option("the cap; 0: no cap", None, terminal=False)
    window_start: str | None = option("a time of the day like 01:30", None, terminal=False)
    window_end: str | None = option("a time of the day like 05:00", None, terminal=False)
    freeze: bool | None = option("ask the guest's agent to freeze for the instant", None)
    default: bool | None = option("take every VM that no other policy names", None)
    enabled: bool | None = option("switched on", None)


def changes_of(given: PolicyInput) -> Changes:
    """What was given, as the service takes it. Raises Refusal for a time that is none."""
    values = {one.name: getattr(given, one.name) for one in fields(PolicyInput)}
    found = {name: value for name, value in values.items() if value is not None}
    if "default" in found:
        found["is_default"] = found.pop("default")
    if "bytes_per_second" in found:
        found["bytes_per_second"] = found["bytes_per_second"] or None
    for name in ("window_start", "window_end"):
        if name in found:
            found[name] = _clock(found[name])
    return cast("Changes", found)  # the names and types are those of PolicyInput


def add_policy_fields(parser: argparse.ArgumentParser) -> None:
    """The fields, with the cap in MiB and the window as two times."""
    for one in declared(PolicyInput):
        if one.hints.terminal:
            add_field(parser, one)
    parser.add_argument(
        "--cap",
        dest="bytes_per_second",
        type=from_mib,
        metavar="MIB",
        help="MiB per second; 0: no cap",
    )
    parser.add_argument("--window", type=_window, metavar="HH:MM-HH:MM", help="or `always`")


def typed(options: Options) -> dict[str, Any]:
    """What was typed, by the names of the fields; argparse has seen to the types."""
    start, end = options.window or (None, None)
    names = {one.name for one in fields(PolicyInput)} - {"window_start", "window_end"}
    found = {name: getattr(options, name) for name in names}
    return {**found, "window_start": start, "window_end": end}


def from_mib(text: str) -> int:
    """MiB per second as bytes; 0 for none."""
    try:
        return round(float(text) * 2**20)
    except (OverflowError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of MiB per second") from error


def _window(text: str) -> tuple[str, str]:
    if text == "always":
        return "", ""
    start, _, end = (part.strip() for part in text.partition("-"))
    try:
        is_window = None not in (_clock(start), _clock(end))
    except Refusal:
        is_window = False
    if not is_window:
        raise argparse.ArgumentTypeError(f"{text!r} is not like 01:00-05:00")
    return start, end


def _clock(text: str) -> time | None:
    try:
        found = time.fromisoformat(text) if text else None
    except ValueError as error:
        raise Refusal(f"{text!r} is not a time of the day like 01:30.") from error
    if found is not None and found.tzinfo is not None:
        raise Refusal(f"{text!r} names a zone; the policy's own holds for its window.")
    return found
