"""Jobs that one wish opened: a parent that shows what becomes of them, and cancels all."""

import json
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from labpanel.cli.management.commands.panel import run_verb
from labpanel.jobs import groups, ledger, reaper, selectors
from labpanel.jobs.groups import GroupState
from labpanel.jobs.models import Job
from labpanel.jobs.states import State

pytestmark = pytest.mark.django_db


def group_of(count: int) -> tuple[Job, list[Job]]:
    jobs = [ledger.open_job("verify", f"Check of copy {number}") for number in range(count)]
    parent = groups.gather("Check of all", jobs)
    assert parent is not None
    return parent, jobs


def shown(parent: Job) -> Job:
    return selectors.find_job(parent.pk)


def end(jobs: list[Job], *states: State) -> None:
    for job, state in zip(jobs, states, strict=True):
        assert ledger.finish(job.pk, state, f"It is {state}.")


def test_one_job_needs_no_parent() -> None:
    assert groups.gather("Check of all", [ledger.open_job("verify", "Check of one")]) is None
    assert not Job.objects.filter(kind="group").exists()


def test_it_waits_runs_and_is_done_when_all_are() -> None:
    parent, jobs = group_of(4)
    assert (shown(parent).state, shown(parent).progress) == ("waiting", 0)
    ledger.claim(jobs[0].pk, "w")
    Job.objects.filter(pk=jobs[0].pk).update(progress=40)
    assert (shown(parent).state, shown(parent).progress) == ("running", 10)
    end(jobs[:3], *[State.DONE] * 3)
    now = shown(parent)
    assert (now.state, now.progress, now.phase) == ("running", 75, "3 of 4 have ended")
    assert (now.sentence, now.ended_at) == ("", None)
    end(jobs[3:], State.DONE)
    last = shown(parent)
    assert (last.state, last.progress, last.sentence) == ("done", 100, "All 4 are done.")
    assert last.ended_at == Job.objects.get(pk=jobs[3].pk).ended_at


@pytest.mark.parametrize(
    ("states", "state", "sentence"),
    [
        ("done done done failed", "failed", "3 of 4 are done; 1 failed."),
        ("done lost errored lost", "failed", "1 of 4 are done; 1 errored, 2 lost."),
        ("done failed cancelled", "failed", "1 of 3 are done; 1 failed, 1 cancelled."),
        ("done cancelled cancelled", "cancelled", "1 of 3 are done; 2 cancelled."),
    ],
)
def test_it_is_done_only_if_all_are(states: str, state: str, sentence: str) -> None:
    parent, jobs = group_of(len(states.split()))
    end(jobs, *map(State, states.split()))
    ended = shown(parent)
    assert (ended.state, ended.sentence) == (state, sentence)
    assert ended.progress < 100


def test_cancelling_it_cancels_what_has_not_ended(signed_in: Client) -> None:
    parent, jobs = group_of(3)
    end(jobs[:1], State.DONE)
    ledger.claim(jobs[1].pk, "w")
    assert signed_in.post(f"/jobs/{parent.pk}/cancel/").status_code == 302
    assert [(job.state, job.cancel_asked) for job in groups.children_of(parent)] == [
        ("done", False),
        ("running", True),
        ("cancelled", False),
    ]
    assert shown(parent).cancel_asked
    end(jobs[1:2], State.CANCELLED)
    assert signed_in.post(f"/jobs/{parent.pk}/cancel/").status_code == 409
    answer = signed_in.post(f"/api/v1/jobs/{parent.pk}/cancel", content_type="application/json")
    assert (answer.status_code, "1 of 3 are done" in answer.json()["error"]) == (409, True)


def test_the_reaper_and_the_workers_leave_it_alone(broker: list[object]) -> None:
    parent, jobs = group_of(2)
    end(jobs, State.DONE, State.DONE)
    Job.objects.filter(pk=parent.pk).update(beat_at=timezone.now() - timedelta(days=2))
    broker.clear()
    assert reaper.reap(timezone.now() + timedelta(days=1)) == []
    assert (broker, ledger.claim(parent.pk, "w")) == ([], None)
    assert shown(parent).state == "done"


def test_its_page_lists_its_jobs_and_theirs_lead_to_it(signed_in: Client) -> None:
    parent, jobs = group_of(2)
    end(jobs[:1], State.FAILED)
    page = signed_in.get(f"/jobs/{parent.pk}/").content.decode()
    assert all(f'href="/jobs/{job.pk}/"' in page for job in jobs)
    assert "1 of 2 have ended" in page
    assert "It is failed." in page
    child = signed_in.get(f"/jobs/{jobs[0].pk}/").content.decode()
    assert f'href="/jobs/{parent.pk}/"' in child
    end(jobs[1:], State.DONE)
    assert "1 of 2 are done; 1 failed." in signed_in.get(f"/jobs/{parent.pk}/").content.decode()
    assert "1 of 2 are done; 1 failed." in signed_in.get("/jobs/").content.decode()


def test_active_is_a_group_with_an_active_job(
    signed_in: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    parent, jobs = group_of(2)
    end(jobs[:1], State.DONE)
    rows = signed_in.get("/api/v1/jobs?active=1").json()
    assert [(row["id"], row["parent"]) for row in rows] == [
        (parent.pk, None),
        (jobs[1].pk, parent.pk),
    ]
    assert run_verb("job", ["show", str(parent.pk)]) == 0
    assert f"job {jobs[1].pk}: Check of copy 1 (waiting)" in capsys.readouterr().out
    end(jobs[1:], State.DONE)
    assert run_verb("jobs", ["--active", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_a_page_asks_no_more_for_more_jobs(signed_in: Client) -> None:
    def counted(address: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            assert signed_in.get(address).status_code == 200
        return len(queries)

    few, many = group_of(2)[0], group_of(15)[0]
    assert counted(f"/jobs/{many.pk}/") == counted(f"/jobs/{few.pk}/")
    before = counted("/jobs/")
    group_of(5)
    assert counted("/jobs/") == before


def test_a_group_whose_jobs_are_gone_shows_an_end() -> None:
    assert groups.state_of_group([]) == GroupState(
        State.DONE, 100, "", "All 0 are done.", False, None, None
    )
