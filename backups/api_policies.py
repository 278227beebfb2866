"""The API's view of policies and of disks that are left out: the CLI's shapes and services."""

from datetime import UTC, datetime, time
from typing import Any, cast

from django.http import HttpRequest
from django.utils import timezone

from backups.models import Exclusion, Policy
from backups.selectors.exclusions import as_json as exclusion_json
from backups.selectors.exclusions import exclusion_list
from backups.selectors.policies import find_policy
from backups.selectors.policy_rows import policy_list, policy_row
from backups.services.assign_policy import assign
from backups.services.delete_policy import delete_policy
from backups.services.exclude_disk import exclude, include
from backups.services.save_policy import Changes, save_policy
from backups.services.story_policy import story_policy
from hosts.selectors.naming import find_vm
from labpanel.api import Optional, json_view, parse_body
from labpanel.lib.refusal import Refusal

Answer = tuple[Any, int]
_FIELDS = {
    "name": str,
    "default": bool,
    "enabled": bool,
    "cron": str,
    "timezone": str,
    "places": list,
    "keep_last": int,
    "keep_daily": int,
    "keep_weekly": int,
    "keep_monthly": int,
    "bytes_per_second": int,
    "freeze": bool,
    "verify_days": int,
    "rehearse_days": int,
    "deep_days": int,
    "window_start": str,
    "window_end": str,
}


@json_view("GET")
def read_policies(_: HttpRequest) -> list[dict[str, Any]]:
    return [row.as_json() for row in policy_list(timezone.now())]


@json_view("GET")
def read_policy(_: HttpRequest, name: str) -> dict[str, Any]:
    return _shown(find_policy(name))


@json_view("POST")
def create_policy(request: HttpRequest) -> Answer:
    """The fields of a policy; `name`, `cron` and `places` must be there."""
    changes = _changes(request, needed=("name", "cron", "places"))
    changes.setdefault("timezone", timezone.get_default_timezone_name())
    return _shown(save_policy(None, changes)), 201


@json_view("PATCH")
def change_policy(request: HttpRequest, name: str) -> dict[str, Any]:
    """Any of the fields. A cap of 0 means none, an empty time of the window likewise."""
    return _shown(save_policy(find_policy(name), _changes(request)))


@json_view("DELETE")
def remove_policy(_: HttpRequest, name: str) -> dict[str, Any]:
    return {"sentence": delete_policy(find_policy(name))}


@json_view("POST")
def create_story(_: HttpRequest) -> Answer:
    """The story's own policy, made the default one."""
    return _shown(story_policy()), 201


@json_view("POST")
def assign_vm(request: HttpRequest) -> dict[str, Any]:
    """`{"vm", "policy"}`; without a policy the VM goes back to the default one."""
    asked = parse_body(request, {"vm": str, "policy": Optional(str)})
    policy = find_policy(asked["policy"]) if asked["policy"] else None
    return {"sentence": assign(find_vm(asked["vm"]), policy)}


@json_view("GET")
def read_exclusions(_: HttpRequest) -> list[dict[str, Any]]:
    return [exclusion_json(each) for each in exclusion_list()]


@json_view("POST")
def create_exclusion(request: HttpRequest) -> Answer:
    """`{"vm", "disk", "reason", "until"}`; `until` is an ISO 8601 day or time, none for good."""
    asked = parse_body(request, {"vm": str, "disk": str, "reason": str, "until": Optional(str)})
    kept: Exclusion = exclude(
        find_vm(asked["vm"]),
        asked["disk"],
        asked["reason"],
        by=request.user.get_username(),
        until=_moment(asked["until"]) if asked["until"] else None,
    )
    return exclusion_json(kept), 201


@json_view("DELETE")
def remove_exclusion(request: HttpRequest) -> dict[str, Any]:
    """`{"vm", "disk"}`."""
    asked = parse_body(request, {"vm": str, "disk": str})
    return {"sentence": include(find_vm(asked["vm"]), asked["disk"])}


def _shown(policy: Policy) -> dict[str, Any]:
    return policy_row(policy, timezone.now()).as_json()


def _changes(request: HttpRequest, needed: tuple[str, ...] = ()) -> Changes:
    fields = {name: kind if name in needed else Optional(kind) for name, kind in _FIELDS.items()}
    asked = parse_body(request, fields)
    given = {name: value for name, value in asked.items() if value is not None}
    if not all(isinstance(place, str) for place in given.get("places", [])):
        raise Refusal("The field 'places' must be a list of texts.")
    if "default" in given:
        given["is_default"] = given.pop("default")
    if "bytes_per_second" in given:
        given["bytes_per_second"] = given["bytes_per_second"] or None
    for name in ("window_start", "window_end"):
        if name in given:
            given[name] = _clock(given[name])
    return cast("Changes", given)  # parse_body has seen to the types


def _clock(text: str) -> time | None:
    try:
        return time.fromisoformat(text) if text else None
    except ValueError as error:
        raise Refusal(f"{text!r} is no time of the day like 01:30.") from error


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise Refusal(f"{text!r} is no day like 2026-12-31.") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
