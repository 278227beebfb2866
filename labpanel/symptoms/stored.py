"""Facts and evidence as JSON, and back. What does not fit its kind is not guessed at: None."""

from dataclasses import asdict
from datetime import datetime
from enum import StrEnum
from typing import cast

from labpanel.lib.closed import Odd
from labpanel.lib.shaped import shaped
from labpanel.symptoms.declared import DECLARED, Facts
from labpanel.symptoms.kinds import Kind
from labpanel.symptoms.symptom import Evidence

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


def facts_as_json(facts: Facts) -> Json:
    return _plain(asdict(facts))


def evidence_as_json(rows: tuple[Evidence, ...]) -> Json:
    return [_plain(asdict(row)) for row in rows]


def parse_facts(kind: str, stored: object) -> Facts | None:
    """None of a kind or of facts that this panel does not know: a newer one wrote them."""
    try:
        return cast("Facts", shaped(DECLARED[Kind(kind)].facts, stored, "facts"))
    except (Odd, ValueError):
        return None


def _plain(value: object) -> Json:
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, StrEnum):
        return value.value
    assert value is None or isinstance(value, bool | int | float | str), type(value)
    return value
