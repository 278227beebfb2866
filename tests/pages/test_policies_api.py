"""/api/v1: policies and exclusions, and every no as one sentence."""

import json
from typing import Any

import pytest
from django.test import Client

from backups.models import Exclusion, Policy
from tests.pages.lab import Lab

NEW = {"name": "x", "cron": "0 2 * * *", "places": ["far"]}


def ask(client: Client, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    answer = client.generic(
        method,
        f"/api/v1/{path}",
        b"" if body is None else json.dumps(body),
        content_type="application/json",
    )
    return answer.status_code, answer.json()


def test_a_policy_is_made_changed_and_forgotten(signed_in: Client, lab: Lab) -> None:
    status, made = ask(
        signed_in,
        "POST",
        "policies",
        {"name": "nightly", "cron": "0 2 * * *", "timezone": "Europe/Berlin", "places": ["near"]},
    )
    assert status == 201
    assert made["when"] == "every day at 02:00, Europe/Berlin"
    change = {"keep_daily": 7, "default": True, "bytes_per_second": 1 << 20, "window_start": "1:00"}
    assert ask(signed_in, "PATCH", "policies/nightly", change)[0] == 400
    change |= {"window_start": "01:00", "window_end": "05:00"}
    status, changed = ask(signed_in, "PATCH", "policies/nightly", change)
    assert status == 200
    assert (changed["keep_daily"], changed["window_end"]) == (7, "05:00")
    runs = {(run["vm"], run["store"]) for run in changed["runs"]}
    assert runs == {("home", "near"), (lab.odd.name, "near"), ("web", "far")}
    lifted = {"bytes_per_second": 0, "window_start": "", "window_end": ""}
    _, changed = ask(signed_in, "PATCH", "policies/night", lifted)
    assert (changed["bytes_per_second"], changed["window_start"]) == (None, None)
    status, gone = ask(signed_in, "DELETE", "policies/nightly")
    assert status == 200
    assert "No policy backs up" in gone["sentence"]
    assert not Policy.objects.exists()


def test_the_recommended_policy_in_one_call(signed_in: Client, lab: Lab) -> None:
    status, made = ask(signed_in, "POST", "policies/recommended")
    assert (status, made["default"], made["keep_last"]) == (201, True, 3)
    assert ask(signed_in, "POST", "policies/story") == (201, made)  # its name before
    asked = {"vm": "home", "policy": "weekly"}
    assert "policy weekly" in ask(signed_in, "POST", "policies/assign", asked)[1]["sentence"]
    back = {"vm": "home"}
    assert "default policy" in ask(signed_in, "POST", "policies/assign", back)[1]["sentence"]
    (listed,) = ask(signed_in, "GET", "policies")[1]
    assert {run["state"] for run in listed["runs"]} <= {"not due yet", "waits for its turn"}


def test_a_disk_is_left_out_and_in_again(signed_in: Client, lab: Lab) -> None:
    asked = {"vm": "home", "disk": "vdb", "reason": "scratch", "until": "2999-01-01"}
    status, kept = ask(signed_in, "POST", "exclusions", asked)
    assert (status, kept["by"], kept["until"]) == (201, "olga", "2999-01-01T00:00:00+00:00")
    assert [each["disk"] for each in ask(signed_in, "GET", "exclusions")[1]] == ["vdb"]
    assert ask(signed_in, "DELETE", "exclusions", {"vm": "home", "disk": "vdb"})[0] == 200
    assert not Exclusion.objects.exists()


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "said"),
    [
        ("POST", "policies", {"cron": "0 2 * * *", "places": ["far"]}, 400, "'name' is missing"),
        ("POST", "policies", {"name": "x", "cron": "x", "places": ["far"]}, 400, "five fields"),
        ("POST", "policies", {"name": "x", "cron": "0 2 * * *", "places": [1]}, 400, "texts"),
        ("POST", "policies", {"name": "x", "keep": 3}, 400, "Unknown field 'keep'"),
        ("POST", "policies", {**NEW, "bytes_per_second": 1 << 63}, 400, "above 1 TiB/s"),
        ("POST", "policies", {**NEW, "window_start": "01:30+05:00"}, 400, "names a zone"),
        ("PATCH", "policies/nightly", {}, 404, "no policy 'nightly'"),
        ("GET", "policies/nightly", None, 404, "no policy 'nightly'"),
        ("DELETE", "policies/nightly", None, 404, "no policy 'nightly'"),
        ("POST", "policies/assign", {"vm": "home", "policy": "x"}, 404, "no policy 'x'"),
        ("PUT", "policies", {}, 405, "takes GET or POST"),
        ("POST", "exclusions", {"vm": "home", "disk": "vdb", "reason": ""}, 400, "Say why"),
        (
            "POST",
            "exclusions",
            {"vm": "home", "disk": "vdb", "reason": "x", "until": "soon"},
            400,
            "not a day like",
        ),
        ("DELETE", "exclusions", {"vm": "home", "disk": "vdb"}, 409, "not left out"),
    ],
)
def test_refusals(
    signed_in: Client, lab: Lab, method: str, path: str, body: Any, status: int, said: str
) -> None:
    answered, answer = ask(signed_in, method, path, body)
    assert (answered, said in answer["error"]) == (status, True), answer
