"""A plan as the API and `move VM --plan --json` show it."""

from typing import TypedDict

from hosts.rules.placement.placement import HostCandidate
from labpanel.lib.moving import Draft
from labpanel.moves.services.plan import MovePlan


class PlannedDisk(TypedDict):
    target: str
    source: str
    destination: str | None
    format: str
    capacity_bytes: int
    allocated_bytes: int


class CandidateJson(TypedDict):
    host: str
    fits: bool
    reasons: list[str]
    obstacles: list[str]
    warnings: list[str]


class ReachJson(TypedDict):
    """What needs the owner's word; `code` is what accepts it."""

    open: list[str]
    code: str
    can_drop: bool


# Written so because "from" is a keyword of Python.
PlanJson = TypedDict(
    "PlanJson",
    {
        "vm": str,
        "vm_uuid": str,
        "from": str,
        "to": str | None,
        "way": str | None,
        "possible": bool,
        "obstacles": list[str],
        "warnings": list[str],
        "copied_bytes": int,
        "seconds": int | None,
        "lasts": str | None,
        "disks": list[PlannedDisk],
        "reach": ReachJson | None,
        "candidates": list[CandidateJson],
    },
)


def plan_json(plan: MovePlan) -> PlanJson:
    """The best candidate first; `reach` is None if nothing needs the owner's word. `seconds` is
    None where no speed was measured, `lasts` says how it is known or why not."""
    paths = plan.chosen.target.paths if plan.chosen else {}
    return {
        "vm": plan.vm,
        "vm_uuid": plan.vm_uuid,
        "from": plan.host,
        "to": plan.target,
        "way": plan.way or None,
        "possible": plan.possible,
        "obstacles": plan.obstacles,
        "warnings": plan.warnings,
        "copied_bytes": plan.copied_bytes,
        "seconds": _seconds(plan),
        "lasts": plan.lasts.sentence if plan.lasts else None,
        "disks": [
            {
                "target": disk.target,
                "source": disk.source,
                "destination": paths.get(disk.source),
                "format": disk.format,
                "capacity_bytes": disk.capacity,
                "allocated_bytes": disk.allocated,
            }
            for disk in plan.disks
        ],
        "reach": _reach(plan.reaching),
        "candidates": [_candidate(one) for one in plan.candidates],
    }


def _seconds(plan: MovePlan) -> int | None:
    if plan.lasts is None or plan.lasts.seconds is None:
        return None
    return round(plan.lasts.seconds)


def _candidate(one: HostCandidate) -> CandidateJson:
    return {
        "host": one.target.name,
        "fits": one.fits,
        "reasons": list(one.reasons),
        "obstacles": [found.sentence for found in one.obstacles if found.blocking],
        "warnings": [found.sentence for found in one.warnings],
    }


def _reach(draft: Draft | None) -> ReachJson | None:
    if draft is None:
        return None
    words = [reach.words for reach in draft.open]
    return {"open": words, "code": draft.code, "can_drop": draft.can_drop}
