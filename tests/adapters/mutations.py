"""Real answers, damaged: by single characters, and by whole values in their structure. Seeded."""

import copy
import dataclasses
import os
import random
from collections.abc import Iterator
from typing import Any

from labpanel.lib.closed import MOST_WHOLE, is_plain

# How many in all; the full number (100000) takes minutes.
TOTAL = int(os.environ.get("LABPANEL_MUTATIONS", "6000"))
SNIPPETS = (
    "\x00",
    "\x1b[2J\x1b]0;title\x07",
    "\n",
    "‮",
    "\ud800",
    "../../etc/passwd",
    "'\"<>&;$(reboot)`",
    "]]>",
    "<!DOCTYPE d [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>",
    "&e;",
    "-1",
    "9" * 400,
    "9" * 5000,
    "1e999",
    "NaN",
    "Infinity",
    "²",
    "[" * 2000,
    "{" * 2000,
    "<a>" * 2000,
    "A" * 100_000,
    "==> /proc/uptime <==",
    "null",
    ",",
)
VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    2**31,
    2**63,
    2**70,
    10**400,
    -1.5,
    1e308,
    "",
    "x\x1b[2J",
    "a\nb",
    "\ud800",
    "../victim",
    "-oProxyCommand=x",
    "qemu+ext:///system?command=/bin/sh",
    "A" * 5000,
    [],
    {},
    [[]],
    {"name": {}},
    ["x"] * 3000,
    {str(number): number for number in range(5000)},
)


def texts(seed: str, text: str, count: int) -> Iterator[str]:
    """`count` damaged copies of a text."""
    chance = random.Random(seed)
    for _ in range(count):
        damaged = text
        for _ in range(chance.choice((1, 1, 1, 2, 5))):
            damaged = _damage(chance, damaged)
        yield damaged


def _damage(chance: random.Random, text: str) -> str:
    first, last = sorted((chance.randrange(len(text) + 1), chance.randrange(len(text) + 1)))
    match chance.randrange(6):
        case 0:
            return text[:first]
        case 1:
            return text[:first] + text[min(last, first + 40) :]
        case 2:
            return text[:last] + text[first:last][:4000] + text[last:]
        case 3:
            return text[:first] + chr(chance.randrange(1, 256)) + text[first + 1 :]
        case 4:
            return text[:first] + chance.choice(SNIPPETS) + text[min(last, first + 8) :]
        case _:
            return text[:first] + chance.choice(SNIPPETS) + text[first:]


def values(seed: str, value: Any, count: int) -> Iterator[Any]:
    """`count` copies of a JSON value in which one or more parts are others."""
    chance = random.Random(seed)
    for _ in range(count):
        damaged = [copy.deepcopy(value)]
        for _ in range(chance.choice((1, 1, 1, 2, 5))):
            _replace(chance, damaged)
        yield damaged[0]


def _replace(chance: random.Random, root: list[Any]) -> None:
    """Walk down at random and put another value in the place, or take it away."""
    holder: Any = root
    place: Any = 0
    while isinstance(holder[place], dict | list) and holder[place] and chance.random() < 0.85:
        holder = holder[place]
        places = list(holder) if isinstance(holder, dict) else range(len(holder))
        place = chance.choice(list(places))
    if holder is not root and chance.random() < 0.2:
        del holder[place]
    else:
        holder[place] = copy.deepcopy(chance.choice(VALUES))


def check_closed(found: object, *, longest: int = 5000) -> None:
    """Every text is plain and short, every number fits into the database."""
    if dataclasses.is_dataclass(found) and not isinstance(found, type):
        for field in dataclasses.fields(found):
            if field.name not in {"xml", "inactive_xml"}:
                check_closed(getattr(found, field.name), longest=longest)
    elif isinstance(found, dict):
        check_closed(list(found), longest=longest)
        check_closed(list(found.values()), longest=longest)
    elif isinstance(found, list | tuple | set | frozenset):
        assert len(found) <= 10_000
        for each in found:
            check_closed(each, longest=longest)
    elif isinstance(found, str):
        assert len(found) <= longest
        assert is_plain(found), found[:100]
    elif isinstance(found, int):
        assert -1 <= found <= 2 * MOST_WHOLE + 2
    elif isinstance(found, float):
        assert not found > 1e20
