"""The page and the API of a move: the plan first, then one click."""

import dataclasses
from typing import Any

import pytest
from django.test import Client

from hosts.models import VM
from labpanel.jobs.models import Job
from labpanel.moves.services import facts
from tests.services.moved import UUID, Stage, make_stage

PAGE = f"/vms/{UUID}/move/"
API = f"/api/v1/vms/{UUID}/move"


@pytest.fixture
def stage(db: None, monkeypatch: pytest.MonkeyPatch) -> Stage:
    made = make_stage()
    monkeypatch.setattr(facts, "of_source", made.of_source)
    monkeypatch.setattr(facts, "of_targets", made.of_targets)
    return made


def test_the_plan_is_shown_with_one_button(stage: Stage, signed_in: Client) -> None:
    text = signed_in.get(PAGE).content.decode()
    assert "Move web to beta now" in text
    assert "goes on running" in text
    assert "/srv/images/web.qcow2" in text
    assert not Job.objects.exists()


def test_the_button_opens_the_job(stage: Stage, signed_in: Client) -> None:
    answer = signed_in.post(PAGE, {"to": "beta"})
    job = Job.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, job.get_absolute_url())
    assert (job.title, job.parameters["to"]) == ("Move web to beta", "beta")
    again = signed_in.post(PAGE, {"to": "beta"})
    assert again.status_code == 409
    assert "already being worked on" in again.content.decode()


def test_every_obstacle_is_shown_and_there_is_no_button(stage: Stage, signed_in: Client) -> None:
    stage.target = dataclasses.replace(stage.target, bridges=frozenset(), memory_available=0)
    text = signed_in.get(PAGE).content.decode()
    assert "The bridge br0 is missing on beta." in text
    assert "0 MiB of memory to spare" in text
    assert "now</button>" not in text
    assert signed_in.post(PAGE).status_code == 409
    assert not Job.objects.exists()


def test_a_name_with_markup_stays_text(stage: Stage, signed_in: Client) -> None:
    VM.objects.filter(uuid=UUID).update(name="<b>'web' $(id)")
    text = signed_in.get(PAGE).content.decode()
    assert "<b>'web'" not in text
    assert "&lt;b&gt;&#x27;web&#x27; $(id)" in text


@pytest.mark.parametrize(("query", "status"), [("?to=gamma", 404), ("?to=alpha", 200)])
def test_a_wrong_host_is_said(stage: Stage, signed_in: Client, query: str, status: int) -> None:
    answer = signed_in.get(PAGE + query)
    assert answer.status_code == status
    assert "now</button>" not in answer.content.decode()


def test_the_api_tells_the_plan(stage: Stage, signed_in: Client) -> None:
    plan = signed_in.get(f"{API}-plan").json()
    assert (plan["from"], plan["to"], plan["way"], plan["possible"]) == (
        "alpha", "beta", "live", True
    )  # fmt: skip
    assert plan["obstacles"] == []
    assert plan["candidates"][0]["host"] == "beta"
    assert plan["disks"][0]["destination"] == "/srv/images/web.qcow2"


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"where": "beta"}, 400, "Unknown field 'where'"),
        ({"to": 7}, 400, "must be text"),
        ({"to": "gamma"}, 404, "gamma"),
        ({"to": "alpha"}, 409, "is on alpha already"),
    ],
)
def test_the_api_refuses_in_one_sentence(
    stage: Stage, signed_in: Client, body: dict[str, Any], status: int, words: str
) -> None:
    answer = signed_in.post(API, body, content_type="application/json")
    assert answer.status_code == status
    assert words in answer.json()["error"]
    assert not Job.objects.exists()


def test_the_api_opens_the_job(stage: Stage, signed_in: Client) -> None:
    answer = signed_in.post(API, {}, content_type="application/json")
    assert answer.status_code == 202
    assert answer.json() == {
        "job": Job.objects.get().pk, "title": "Move web to beta", "state": "waiting"
    }  # fmt: skip


def test_both_are_behind_the_sign_in(stage: Stage, client: Client) -> None:
    assert client.get(PAGE).status_code == 302
    assert client.get(f"{API}-plan").status_code == 401
    assert client.post(API, {}, content_type="application/json").status_code == 401
    assert not Job.objects.exists()
