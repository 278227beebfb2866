"""Jobs at /api/v1."""

from typing import Any

from django.http import HttpRequest

from labpanel.api import json_view, parse_body
from labpanel.jobs import ledger, selectors
from labpanel.lib.refusal import Refusal

MOST = 200


@json_view("GET")
def jobs(request: HttpRequest) -> list[dict[str, Any]]:
    """The newest jobs. `?active=1`: only those that wait or run. `?limit=N`, at most MOST."""
    unknown = sorted(set(request.GET) - {"active", "limit"})
    if unknown:
        raise Refusal(f"Unknown parameter {unknown[0]!r}; known are active, limit.")
    active, limit = request.GET.get("active", "0"), request.GET.get("limit", "50")
    if active not in {"0", "1"}:
        raise Refusal("The parameter 'active' must be 0 or 1.")
    if not limit.isdecimal() or not 1 <= int(limit) <= MOST:
        raise Refusal(f"The parameter 'limit' must be a number from 1 to {MOST}.")
    found = selectors.recent_jobs(active=active == "1", limit=int(limit))
    return [each.as_json() for each in found]


@json_view("GET")
def job(request: HttpRequest, pk: int) -> dict[str, Any]:
    """One job with its log."""
    return selectors.with_lines(selectors.find_job(pk))


@json_view("POST")
def cancel(request: HttpRequest, pk: int) -> dict[str, Any]:
    """Ask a job to stop; the job as it is then. 409 when it had ended."""
    parse_body(request, {})
    found = selectors.find_job(pk)
    if not ledger.ask_to_cancel(found):
        found.refresh_from_db()
        raise Refusal(f"Job {pk} had already ended: {found.sentence}", 409)
    found.refresh_from_db()
    return selectors.row(found).as_json()
