"""Bodies that no client of the panel sends."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.outside.words import ALL

JSON = "application/json"
PARTS = "multipart/form-data; boundary="
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Body:
    name: str
    content: bytes
    type: str


def _json(name: str, value: object) -> Body:
    return Body(name, json.dumps(value).encode(), JSON)


BARE: tuple[Any, ...] = (None, True, 7, "x", [], [[]], {})
JSON_BODIES = (
    *(_json(f"a bare {value!r}", value) for value in BARE),
    _json("unknown fields", {"__class__": 1, "": 2, ALL: 3}),
    _json("half a surrogate", {"vm": "\ud800", "\udfff": "x"}),
    Body("not UTF-8", b'{"vm": "\xff\xfe"}', JSON),
    Body("another charset", '{"vm": "ä"}'.encode("utf-16"), JSON + "; charset=utf-16"),
    Body("a charset that is none", b'{"vm": "x"}', JSON + "; charset=\x01no"),
    Body("deep lists", b"[" * 200_000, JSON),
    Body("deep objects", b'{"a":' * 100_000, JSON),
    Body("one field twice", b'{"vm": 1, "vm": {"vm": 2}}', JSON),
    Body("no numbers", b'{"vm": NaN, "level": Infinity}', JSON),
    Body("a long number", b'{"vm": ' + b"9" * 6000 + b"}", JSON),
    Body("too large", b'{"vm": "' + b"x" * 1_500_000 + b'"}', JSON),
    Body("XML", b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY y 'z'>]><x>&y;</x>", "text/xml"),
    Body("no type", b'{"vm": "home"}', ""),
)
FORM_BODIES = (
    Body("empty", b"", FORM),
    Body("bad percent signs", b"name=%zz%&%=%ff%00", FORM),
    Body("many fields", b"&".join(b"a%d=1" % number for number in range(2000)), FORM),
    Body("a field many times", b"name=x&" * 500, FORM),
    Body("too large", b"name=" + b"x" * 3_000_000, FORM),
    Body("another charset", b"name=\xff\xfe", FORM + "; charset=utf-7"),
    Body("multipart without an end", b"--x\r\nContent-Disposition: form-data", f"{PARTS}x"),
    Body("multipart without a boundary", b"--x\r\n", "multipart/form-data"),
    Body("a boundary that is none", b"--x\r\n", PARTS + "b" * 300),
    Body(
        "a file with a path",
        b'--x\r\nContent-Disposition: form-data; name="name"; filename="../../etc/passwd\\x00"'
        b"\r\nContent-Type: text/x\r\n\r\nroot\r\n--x--\r\n",
        f"{PARTS}x",
    ),
    Body("JSON to a form", b'{"name": "x"}', JSON),
)  # fmt: skip
# What one field may be instead of what it should be.
VALUES: tuple[Any, ...] = (
    *(ALL.replace("\0", ""), "", "x" * 20_000, "\x00", "\ud800", ".."),
    *(-1, 10**30, 1.5, True, None, [], [[ALL]], {"a": ALL}, [10**30]),
)


def variants(fields: dict[str, object]) -> Iterator[dict[str, object]]:
    """`fields` with one after the other turned into each of VALUES."""
    for name in fields:
        for value in VALUES:
            yield {**fields, name: value}
