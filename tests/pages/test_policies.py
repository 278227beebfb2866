"""The pages of policies: the empty state, the form without scripts, what became of the runs."""

from datetime import time, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from backups.models import Exclusion, Policy, PolicyRun, Store
from backups.services.policies.recommended_policy import recommended_policy
from backups.services.policies.save_policy import Changes, save_policy
from labpanel.jobs.models import Job
from tests.pages.lab import HOSTILE, Lab

FORM: dict[str, Any] = {
    "name": "nightly",
    "is_default": "",
    "often": "daily",
    "at": "01:30",
    "weekday": "0",
    "day": "1",
    "timezone": "Europe/Berlin",
    "places": ["far", "near"],
    "keep_last": "3",
    "keep_daily": "7",
    "keep_weekly": "0",
    "keep_monthly": "0",
    "verify_days": "7",
    "rehearse_days": "30",
    "deep_days": "14",
    "enabled": "on",
    "freeze": "on",
}


def text(client: Client, address: str = "/policies/") -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return answer.content.decode()


def test_the_empty_page_offers_a_policy_and_one_click_makes_it(signed_in: Client, lab: Lab) -> None:
    assert "Save every VM weekly" in text(signed_in)
    assert signed_in.post("/policies/recommended/").status_code == 302
    shown = text(signed_in)
    assert "every Sunday at 02:00, UTC, to another machine and to the VM’s own host" in shown
    assert "the last 3 copies" in shown
    assert HOSTILE not in shown
    assert Policy.objects.get().is_default


def test_a_form_makes_a_policy(signed_in: Client, lab: Lab) -> None:
    answer = signed_in.post(
        "/policies/new/",
        {
            **FORM,
            "vms": [lab.home.pk],
            "cap": "12.5",
            "window_start": "23:00",
            "window_end": "5:00",
        },
    )
    assert answer.status_code == 302
    policy = Policy.objects.get()
    assert (policy.cron, policy.timezone, policy.keep_daily) == ("30 1 * * *", "Europe/Berlin", 7)
    assert (policy.bytes_per_second, policy.window_end) == (12.5 * 2**20, time(5))
    assert [member.vm for member in policy.members.all()] == [lab.home]
    assert "No policy backs up" in text(signed_in)


def test_a_form_that_is_opened_and_saved_changes_nothing(signed_in: Client, lab: Lab) -> None:
    kept = save_policy(
        None,
        {
            "name": "odd <b>",
            "cron": "5 4 * * 1-5",
            "timezone": "Asia/Tokyo",
            "places": ["near"],
            "keep_monthly": 6,
            "bytes_per_second": 3 << 20,
            "freeze": False,
            "window_start": time(1),
            "window_end": time(4, 30),
        },
        [lab.web],
    )
    before = Policy.objects.values().get()
    address = f"/policies/{kept.pk}/"
    answer = signed_in.get(address)
    form = answer.context["form"]
    typed = {}
    for name in form.fields:
        value = form[name].value()
        if value is not None and value is not False:  # as a browser: an empty box is not sent
            typed[name] = f"{value:%H:%M}" if isinstance(value, time) else value
    assert signed_in.post(address, typed).status_code == 302
    assert Policy.objects.values().get() == before
    assert [member.vm for member in kept.members.all()] == [lab.web]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"often": "other", "cron": "often"}, "five fields"),
        ({"timezone": "Berlin"}, "Did you mean Europe/Berlin?"),
        ({"places": []}, "Say where to"),
        ({"places": ["nas"]}, "Select a valid choice"),
        ({"keep_last": "0"}, "greater than or equal to 1"),
        ({"window_start": "01:00"}, "both a beginning and an end"),
        ({"cap": "0.01"}, "64 KiB/s"),
        ({"vms": ["999"]}, "Select a valid choice"),
    ],
)
def test_what_is_wrong_is_said_and_what_was_typed_stays(
    signed_in: Client, lab: Lab, changes: dict[str, Any], said: str
) -> None:
    answer = signed_in.post("/policies/new/", {**FORM, **changes})
    assert answer.status_code == 400
    shown = answer.content.decode()
    assert said in shown
    assert 'value="nightly"' in shown
    assert not Policy.objects.exists()


def test_deleting_leads_back_to_the_list(signed_in: Client, lab: Lab) -> None:
    policy = recommended_policy()
    assert signed_in.post(f"/policies/{policy.pk}/delete/").status_code == 302
    assert not Policy.objects.exists()


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("failed", ["failed", "It broke.", "Tried again", "See the job"]),
        ("done", ["saved", "saved <time"]),
        ("cancelled", ["cancelled"]),
    ],
)
def test_what_became_of_the_last_run_is_seen(
    signed_in: Client, lab: Lab, state: str, said: list[str]
) -> None:
    now = timezone.now()
    due = (now - timedelta(minutes=3)).replace(second=0, microsecond=0)
    daily: Changes = {"name": "daily", "cron": f"{due.minute} {due.hour} * * *", "places": ["far"]}
    policy = save_policy(None, {**daily, "timezone": "UTC"}, [lab.home])
    Policy.objects.update(since=now - timedelta(days=30))
    Store.objects.update(added_at=now - timedelta(days=30))
    job = Job.objects.create(
        kind="backup", title="Back up", state=state, ended_at=now, sentence="It broke."
    )
    PolicyRun.objects.create(
        policy=policy, vm=lab.home, store=lab.store, due_at=due, tries=1, job=job
    )
    shown = text(signed_in)
    for words in said:
        assert words in shown


def test_a_disk_is_left_out_by_a_form(signed_in: Client, lab: Lab) -> None:
    address = f"/vms/{lab.home.uuid}/leave-out/"
    typed = {"disk": "vdb", "reason": "<i>cache</i>", "until": "2999-12-31"}
    assert signed_in.post(address, typed).status_code == 302
    kept = Exclusion.objects.get()
    assert (kept.by, kept.target, kept.reason) == ("olga", "vdb", "<i>cache</i>")
    shown = text(signed_in, f"/vms/{lab.home.uuid}/")
    assert "<i>cache" not in shown
    assert "Save vdb of home again" in shown
    assert signed_in.post(f"/vms/{lab.home.uuid}/take-in/", {"disk": "vdb"}).status_code == 302
    assert not Exclusion.objects.exists()


@pytest.mark.parametrize(
    ("typed", "status"),
    [
        ({"disk": "vdb", "reason": ""}, 400),
        ({"disk": "vdx", "reason": "x"}, 404),
        ({"disk": "vdb", "reason": "x", "until": "soon"}, 400),
    ],
)
def test_a_no_to_leaving_out_is_one_sentence(
    signed_in: Client, lab: Lab, typed: dict[str, str], status: int
) -> None:
    answer = signed_in.post(f"/vms/{lab.home.uuid}/leave-out/", typed)
    assert answer.status_code == status
    page = answer.content.decode()
    assert "Not done." in page or page.count('role="alert"') == 1


def test_the_page_of_a_vm_says_what_saves_it(signed_in: Client, lab: Lab) -> None:
    address = f"/vms/{lab.home.uuid}/"
    assert "No policy backs up home" in text(signed_in, address)
    weekly = recommended_policy()
    assert "backs it up every Sunday at 02:00" in text(signed_in, address)
    save_policy(weekly, {"enabled": False})
    assert "weekly is switched off" in text(signed_in, address)
