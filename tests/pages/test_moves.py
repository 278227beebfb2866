"""The page and the API of a move: the plan first, then one click."""

import dataclasses
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from backups.models import Generation, GenerationDisk, Store
from hosts.models import VM, Host
from hosts.services.vms.agreement import word_of
from labpanel.cli.management.commands.panel import Command
from labpanel.jobs.models import Job
from labpanel.lib.definition import DefinitionPath, OwnersWord, Reach, Word
from labpanel.lib.moving import Draft
from labpanel.moves.services import facts
from tests import made_manifests
from tests.rules.test_fit import WEB
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


def moved(seconds: int, size: int, **result: Any) -> None:
    began = timezone.now() - timedelta(hours=1)
    Job.objects.create(
        kind="move",
        title="Move other to beta",
        state="done",
        result={"from": "beta", "to": "alpha", "way": "live", "copied_bytes": size, **result},
        started_at=began,
        ended_at=began + timedelta(seconds=seconds),
    )


def test_the_plan_gives_its_time_by_page_api_and_verb(
    stage: Stage, signed_in: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = signed_in.get(f"{API}-plan").json()
    assert plan["seconds"] is None
    assert "is not known" in plan["lasts"]
    assert plan["lasts"] in signed_in.get(PAGE).content.decode()
    moved(60, plan["copied_bytes"])
    moved(1, plan["copied_bytes"], to="gamma")  # another pair tells nothing of this one
    plan = signed_in.get(f"{API}-plan").json()
    assert plan["seconds"] == 60
    assert plan["lasts"].startswith("It takes about")
    assert plan["lasts"] in signed_in.get(PAGE).content.decode()
    assert Command().dispatch(["move", "web", "--plan"]) == 0
    assert plan["lasts"] in capsys.readouterr().out


def test_a_backup_over_the_same_wire_tells_the_time_of_a_first_move(
    stage: Stage, signed_in: Client
) -> None:
    size = signed_in.get(f"{API}-plan").json()["copied_bytes"]
    beta = Host.objects.get(name="beta")
    store = Store.objects.create(name="far", host=beta, path="/srv/far", store_id=uuid4())
    made = Generation.objects.create(
        key="20261122T231500Z-3f9a",
        store=store,
        vm_uuid=UUID,
        vm_name="web",
        source_host="alpha",
        taken_at=timezone.now(),
        consistency="quiesced",
        manifest=made_manifests.value(),
    )
    GenerationDisk.objects.create(
        generation=made,
        target="vda",
        source="/srv/images/web.qcow2",
        virtual_bytes=size,
        read_bytes=size * 2,
        written_bytes=size,
        seconds=80,
    )
    plan = signed_in.get(f"{API}-plan").json()
    assert (plan["seconds"], "1 full backup to beta" in plan["lasts"]) == (40, True)


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


def asking(stage: Stage, *, can_drop: bool) -> None:
    reach = Reach(
        "devices/filesystem",
        "a folder of the host (filesystem: source dir=/)",
        DefinitionPath((0,)),
    )
    draft = Draft("", "<domain/>", (reach,), "0123456789abcdef", can_drop)
    stage.target = dataclasses.replace(stage.target, draft=draft)


@pytest.mark.parametrize("can_drop", [True, False])
def test_what_reaches_into_the_host_is_shown_with_two_answers(
    stage: Stage, signed_in: Client, can_drop: bool
) -> None:
    asking(stage, can_drop=can_drop)
    text = signed_in.get(PAGE).content.decode()
    assert "web would hold a folder of the host (filesystem: source dir=/) on beta." in text
    assert 'name="accept_reach" value="0123456789abcdef"' in text
    assert ('name="drop_reach"' in text) is can_drop
    assert "Move web to beta now" not in text
    assert signed_in.post(PAGE, {"to": "beta"}).status_code == 409
    assert not Job.objects.exists()


def test_the_page_says_nothing_that_is_typed(stage: Stage, signed_in: Client) -> None:
    asking(stage, can_drop=True)
    refused = signed_in.post(PAGE, {"to": "beta"}).content.decode()
    for text in (signed_in.get(PAGE).content.decode(), refused):
        assert "a folder of the host" in text
        assert "-reach" not in text
    answer = signed_in.post(API, {}, content_type="application/json")
    assert "--accept-reach 0123456789abcdef" in answer.json()["error"]


def test_no_answer_is_offered_that_would_not_help(stage: Stage, signed_in: Client) -> None:
    asking(stage, can_drop=True)
    stage.target = dataclasses.replace(stage.target, bridges=frozenset())
    text = signed_in.get(PAGE).content.decode()
    assert "The bridge br0 is missing on beta." in text
    assert "a folder of the host" in text
    assert '_reach"' not in text
    assert signed_in.get(f"{API}-plan").json()["reach"]["can_drop"] is True


def test_a_card_without_its_bridge_can_be_left_out_in_one_tap(
    stage: Stage, signed_in: Client
) -> None:
    """Taking all would be refused, so it is not offered."""
    draft = Draft(
        "", "<domain/>", can_drop=True, needs=WEB, least=dataclasses.replace(WEB, bridges=())
    )
    stage.target = dataclasses.replace(stage.target, draft=draft, bridges=frozenset())
    text = signed_in.get(PAGE).content.decode()
    assert "The bridge br0 is missing on beta." in text
    assert "Move web without that" in text
    assert 'name="drop_reach"' in text
    assert 'name="accept_reach"' not in text
    assert "--drop-reach" not in text


@pytest.mark.parametrize(
    ("posted", "word"),
    [
        ({"accept_reach": "0123456789abcdef"}, Word(OwnersWord.ACCEPT, "0123456789abcdef")),
        ({"drop_reach": "1"}, Word(OwnersWord.DROP)),
    ],
)
def test_the_answer_goes_with_the_job(
    stage: Stage, signed_in: Client, posted: dict[str, str], word: Word
) -> None:
    signed_in.post(PAGE, {"to": "beta", **posted})
    assert stage.words == [word]
    assert word_of(Job.objects.get().parameters) == word


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"accept_reach": "0123456789abcdef"}, 202),
        ({"drop_reach": True}, 202),
        ({"accept_reach": "0123456789abcdef", "drop_reach": True}, 400),
        ({"accept_reach": "yes"}, 400),
        ({"drop_reach": 1}, 400),
    ],
)
def test_the_api_takes_one_word(
    stage: Stage, signed_in: Client, body: dict[str, Any], status: int
) -> None:
    assert signed_in.post(API, body, "application/json").status_code == status


def test_the_plan_says_it_to_programs(stage: Stage, signed_in: Client) -> None:
    assert signed_in.get(f"{API}-plan").json()["reach"] is None
    asking(stage, can_drop=True)
    assert signed_in.get(f"{API}-plan").json()["reach"] == {
        "open": ["a folder of the host (filesystem: source dir=/)"],
        "code": "0123456789abcdef",
        "can_drop": True,
    }
