"""A plan as the API and `move VM --plan --json` show it."""

from typing import Any

from hosts.rules.placement import Candidate
from labpanel.moves.services.plan import Plan


def plan_json(plan: Plan) -> dict[str, Any]:
    """`{vm, vm_uuid, from, to, way, possible, obstacles, warnings, copied_bytes, disks: [{target,
    source, destination, format, capacity_bytes, allocated_bytes}], candidates: [{host, fits,
    reasons, obstacles, warnings}]}`, best candidate first."""
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
        "candidates": [_candidate(one) for one in plan.candidates],
    }


def _candidate(one: Candidate) -> dict[str, Any]:
    return {
        "host": one.target.name,
        "fits": one.fits,
        "reasons": list(one.reasons),
        "obstacles": [found.sentence for found in one.obstacles if found.blocking],
        "warnings": [found.sentence for found in one.warnings],
    }
