"""Damage on a generation's page, mending it, and verifying a whole store."""

import json
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from backups.models import Generation, Store
from backups.rules.copies.faults import CONTENT, FILES, ROTTEN, Fault
from labpanel.cli.management.commands.panel import Command
from labpanel.jobs.models import Job
from labpanel.jobs.states import State
from tests.pages import factory
from tests.pages.lab import HOSTILE, Lab


def damage(generation: Generation, *faults: Fault) -> Generation:
    generation.state, generation.damage = Generation.State.DAMAGED, "vda.qcow2 is rotten"
    generation.faults = [fault.as_json() for fault in faults]
    generation.save()
    return generation


@pytest.fixture
def rotten(lab: Lab) -> Generation:
    rot = Fault(CONTENT, lab.generation.key, "vda.qcow2", ROTTEN, "vda", [[0, 262144]])
    newer = factory.make_generation(lab.home, lab.store, timedelta(hours=1), "vda")
    damage(newer, rot)
    return damage(lab.generation, rot, Fault(FILES, lab.generation.key, HOSTILE, "is gone"))


def post(client: Client, path: str, asked: dict[str, Any]) -> tuple[int, Any]:
    answer = client.post(f"/api/v1/{path}", json.dumps(asked), "application/json")
    return answer.status_code, answer.json()


def test_the_page_says_what_is_wrong_and_who_shows_it_too(
    signed_in: Client, rotten: Generation
) -> None:
    page = signed_in.get(f"/generations/{rotten.key}/").content.decode()
    assert "differs from what was backed up at bytes 0–262143 of vda." in page
    assert "It shows in 1 other copy too:" in page
    assert "Mend this copy" in page
    assert "<script>alert" not in page
    newer = Generation.objects.exclude(pk=rotten.pk).get(state="damaged", faults__0__of=rotten.key)
    other = signed_in.get(f"/generations/{newer.key}/").content.decode()
    assert f"generation {rotten.key}</a>, which it is built on," in other


def test_the_button_and_the_api_open_a_mending(signed_in: Client, rotten: Generation) -> None:
    answer = signed_in.post(f"/generations/{rotten.key}/mend/")
    job = Job.objects.get(kind="mend")
    assert answer["Location"] == job.get_absolute_url()
    status, said = post(signed_in, f"generations/{rotten.key}/mend", {})
    assert (status, said["error"].startswith("This is already being worked on")) == (409, True)
    Job.objects.update(state=State.DONE)
    assert post(signed_in, f"generations/{rotten.key}/mend", {})[0] == 202


def test_what_is_whole_is_not_mended(signed_in: Client, lab: Lab) -> None:
    assert (
        "Mend this copy"
        not in signed_in.get(f"/generations/{lab.generation.key}/").content.decode()
    )
    answer = signed_in.post(f"/generations/{lab.generation.key}/mend/")
    assert answer.status_code == 409
    assert "verify it first" in answer.content.decode()


def test_a_whole_store_is_verified_by_one_call(signed_in: Client, lab: Lab) -> None:
    factory.make_generation(lab.home, lab.store, timedelta(days=2), "vda")
    gone = factory.make_generation(lab.home, lab.store, timedelta(days=3), "vda", state="missing")
    kept = lab.store.generations.exclude(pk=gone.pk).count()
    status, jobs = post(signed_in, "verifications", {"store": lab.store.name})
    assert (status, len(jobs)) == (202, kept)
    found = Job.objects.filter(kind="verify", parameters__level=1)
    assert found.count() == kept
    assert gone.key not in {job.parameters["generation"] for job in found}
    group = Job.objects.get(kind="group")
    assert group.title == f"Check of the files of {kept} copies in {lab.store.name}"
    assert {job.parent for job in found} == {group}
    assert [job["job"] for job in jobs] == [job.pk for job in group.children.order_by("pk")]
    assert post(signed_in, "verifications", {"level": 3})[0] == 400


def test_an_empty_store_has_nothing_to_verify(signed_in: Client, lab: Lab) -> None:
    empty = Store.objects.create(name="empty", path="/srv/empty", store_id=uuid.uuid4())
    status, said = post(signed_in, "verifications", {"store": empty.name})
    assert (status, said["error"]) == (409, "There is no backup in the store empty to verify.")


def test_the_command_line_verifies_all_and_mends(
    rotten: Generation, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Command().dispatch
    assert run(["verify", "--all", "--no-wait", "--json"]) == 0
    jobs = json.loads(capsys.readouterr().out)
    assert len(jobs) == Generation.objects.exclude(state="missing").count()
    Job.objects.filter(pk__in=[job["job"] for job in jobs]).update(state=State.DONE)
    assert run(["mend", rotten.key, "--no-wait", "--json"]) == 0
    assert Job.objects.get(pk=json.loads(capsys.readouterr().out)["job"]).kind == "mend"
    assert run(["verify", "--store", "nowhere"]) == 1


def test_the_command_line_waits_for_all_and_says_what_each_came_to(
    lab: Lab, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def waited(job: Job) -> Job:
        bad = job.parameters["generation"] == lab.generation.key
        Job.objects.filter(pk=job.pk).update(
            state=State.FAILED if bad else State.DONE, sentence="It is rotten." if bad else "Whole."
        )
        job.refresh_from_db()
        return job

    monkeypatch.setattr("labpanel.jobs.waiting.wait", waited)
    factory.make_generation(lab.home, lab.store, timedelta(hours=1), "vda")
    assert Command().dispatch(["verify", "--store", lab.store.name, "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    verdicts = {each["generation"]: each["verified"] for each in found}
    assert verdicts.pop(lab.generation.key) is False
    assert all(verdicts.values())
