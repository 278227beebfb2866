"""The page of a restore that asks for the owner's word, and the two answers to it."""

import pytest
from django.test import Client

from hosts.models import Host
from labpanel.jobs.models import Job
from labpanel.jobs.states import State
from tests.pages import factory

UUID = "11111111-2222-4333-8444-555555555555"
CODE = "0123456789abcdef"


def asking(*, can_drop: bool = True) -> dict[str, object]:
    words = ["a folder of the host (filesystem: source dir=/<b>)"]
    return {"code": CODE, "can_drop": can_drop, "vm": "home", "host": "beta", "words": words}


def failed(**state_data: object) -> Job:
    beta = Host.objects.filter(name="beta").first() or factory.make_host("beta")
    return Job.objects.create(
        kind="restore",
        title="Restore home to beta as home",
        subject=f"vm:{UUID}",
        lock_key=f"vm:{UUID}",
        parameters={
            "generation": "x",
            "host": beta.pk,
            "name": "home",
            "uuid": UUID,
            "disks": {},
            "reach": "",
            "reach_code": "",
        },
        state=State.FAILED,
        sentence="The definition of home gives it more of beta than a VM needs: (1) a folder.",
        state_data=state_data,
    )


@pytest.mark.parametrize(
    ("posted", "kept"),
    [({}, ("drop", "")), ({"accept_reach": CODE}, ("accept", CODE))],
)
def test_the_answer_opens_the_same_job_anew(
    signed_in: Client,
    broker: list[tuple[str, list[object]]],
    posted: dict[str, str],
    kept: tuple[str, str],
) -> None:
    job = failed(asking=asking())
    page = signed_in.get(job.get_absolute_url()).content.decode()
    assert f'value="{CODE}"' in page
    assert "without that" in page
    assert "source dir=/&lt;b&gt;)" in page
    answer = signed_in.post(f"/restores/{job.pk}/again/", posted)
    anew = Job.objects.exclude(pk=job.pk).get()
    assert answer.headers["Location"] == anew.get_absolute_url()
    assert (anew.title, anew.kind, anew.lock_key) == (job.title, job.kind, job.lock_key)
    assert (anew.parameters["reach"], anew.parameters["reach_code"]) == kept


def test_what_cannot_be_left_out_is_not_offered(
    signed_in: Client, broker: list[tuple[str, list[object]]]
) -> None:
    job = failed(asking=asking(can_drop=False))
    page = signed_in.get(job.get_absolute_url()).content.decode()
    assert "without that" not in page
    assert "with all of it" in page


def test_what_the_host_lacks_can_only_be_left_out(
    signed_in: Client, broker: list[tuple[str, list[object]]]
) -> None:
    lacks = ["The bridge br9 is missing on beta, <b>."]
    job = failed(asking={**asking(), "code": "", "words": [], "lacks": lacks})
    page = signed_in.get(job.get_absolute_url()).content.decode()
    assert "beta lacks what home needs." in page
    assert "The bridge br9 is missing on beta, &lt;b&gt;." in page
    assert "without that" in page
    assert "with all of it" not in page
    assert "gives it more" not in page


def test_a_job_that_asked_nothing_takes_no_answer(
    signed_in: Client, broker: list[tuple[str, list[object]]]
) -> None:
    job = failed()
    assert "/again/" not in signed_in.get(job.get_absolute_url()).content.decode()
    assert signed_in.post(f"/restores/{job.pk}/again/").status_code == 409
    assert signed_in.post("/restores/4711/again/").status_code == 404
    assert Job.objects.count() == 1


def test_a_code_that_is_none_is_refused(
    signed_in: Client, broker: list[tuple[str, list[object]]]
) -> None:
    job = failed(asking=asking())
    answer = signed_in.post(f"/restores/{job.pk}/again/", {"accept_reach": "yes\x1b"})
    assert answer.status_code == 400
    assert "is not the code of a list" in answer.content.decode()
    assert Job.objects.count() == 1


@pytest.mark.parametrize(
    ("between", "words"),
    [
        ("name", "There already is a VM home on beta"),
        ("uuid", "other is on alpha again; restore it as a copy."),
        ("host", "that host was removed from the panel"),
    ],
)
def test_what_came_in_between_is_said_before_a_job_is_made(
    signed_in: Client, broker: list[tuple[str, list[object]]], between: str, words: str
) -> None:
    job = failed(asking=asking())
    beta = Host.objects.get(name="beta")
    if between == "name":
        factory.make_vm(beta, "home")
    elif between == "uuid":
        factory.make_vm(factory.make_host("alpha"), "other", disks=0, uuid=UUID)
    else:
        beta.delete()
    answer = signed_in.post(f"/restores/{job.pk}/again/")
    assert answer.status_code == 409
    assert words in answer.content.decode()
    assert Job.objects.count() == 1
