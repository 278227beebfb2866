"""Jobs at the API and the command line."""

import json
from typing import Any

import pytest
from django.core.management import get_commands
from django.test import Client

from labpanel.cli.management.commands.panel import run_verb
from labpanel.jobs import ledger
from labpanel.jobs.models import Job
from labpanel.jobs.states import State

pytestmark = pytest.mark.django_db
JSON = "application/json"
NAME = """<b>"home"</b> $(rm) 日本語"""


@pytest.fixture
def job(db: None) -> Job:
    return ledger.open_job("backup", f"Back up {NAME} to far", subject="vm:1", lock_key="vm:1")


def running(job: Job) -> Job:
    ledger.claim(job.pk, "w")
    Job.objects.filter(pk=job.pk).update(
        progress=40, total_bytes=1000, done_bytes=400, bytes_per_second=100.0
    )
    ledger.add_line(job.pk, f"{NAME} is frozen.")
    return job


def test_one_job_with_its_log(signed_in: Client, job: Job) -> None:
    answer = signed_in.get(f"/api/v1/jobs/{running(job).pk}").json()
    assert (answer["id"], answer["state"], answer["progress"]) == (job.pk, "running", 40)
    assert answer["title"] == f"Back up {NAME} to far"
    assert answer["seconds_left"] == 6
    assert [line["text"] for line in answer["lines"]] == [f"{NAME} is frozen."]


def test_the_list_and_only_the_active_ones(signed_in: Client, job: Job) -> None:
    ended = ledger.open_job("verify", "Verify g1")
    ledger.finish(ended.pk, State.FAILED, "It is damaged.")
    assert [row["id"] for row in signed_in.get("/api/v1/jobs").json()] == [ended.pk, job.pk]
    assert [row["id"] for row in signed_in.get("/api/v1/jobs?active=1").json()] == [job.pk]
    assert len(signed_in.get("/api/v1/jobs?limit=1").json()) == 1


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("active=yes", "active"),
        ("limit=0", "limit"),
        ("limit=x", "limit"),
        (f"limit={'1'.zfill(20)}99999", "limit"),  # beyond the bound, after many zeros
        (f"limit={'9' * 5000}", "limit"),
        ("pages=2", "pages"),
    ],
)
def test_a_wrong_parameter_is_named(signed_in: Client, query: str, word: str) -> None:
    answer = signed_in.get(f"/api/v1/jobs?{query}")
    assert answer.status_code == 400
    assert word in answer.json()["error"]


@pytest.mark.parametrize("number", [404, 10**30])
def test_an_unknown_job_is_not_found(signed_in: Client, job: Job, number: int) -> None:
    answer = signed_in.get(f"/api/v1/jobs/{number}")
    assert answer.status_code == 404
    assert answer.json()["error"] == f"There is no job {number}; the newest is {job.pk}."


def test_cancelling(signed_in: Client, job: Job) -> None:
    answer = signed_in.post(f"/api/v1/jobs/{job.pk}/cancel", content_type=JSON)
    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    again = signed_in.post(f"/api/v1/jobs/{job.pk}/cancel", content_type=JSON)
    assert again.status_code == 409
    assert "had already ended" in again.json()["error"]


def test_a_running_job_is_asked_to_stop(signed_in: Client, job: Job) -> None:
    answer = signed_in.post(f"/api/v1/jobs/{running(job).pk}/cancel", content_type=JSON).json()
    assert (answer["state"], answer["cancel_asked"]) == ("running", True)


def test_cancelling_is_neither_a_get_nor_another_sites(
    signed_in: Client, job: Job, owner: Any
) -> None:
    assert signed_in.get(f"/api/v1/jobs/{job.pk}/cancel").status_code == 405
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(owner)
    assert strict.post(f"/api/v1/jobs/{job.pk}/cancel").status_code == 403
    job.refresh_from_db()
    assert job.state == State.WAITING


def test_the_command_line_says_the_same(job: Job, capsys: pytest.CaptureFixture[str]) -> None:
    assert "panel" in get_commands()
    assert run_verb("jobs", ["--active", "--json"]) == 0
    assert [row["id"] for row in json.loads(capsys.readouterr().out)] == [job.pk]
    assert run_verb("job", ["show", str(running(job).pk)]) == 0
    assert f"{NAME} is frozen." in capsys.readouterr().out
    ledger.finish(job.pk, State.DONE, "Done.")
    assert run_verb("job", ["cancel", str(job.pk)]) == 1
    assert "had already ended" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["show", "x"], ["stop", "1"], ["show"], []])
def test_wrong_use_is_status_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_verb("job", words) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
