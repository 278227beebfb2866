"""One source of what is wrong: overview, `./panel incidents` and the API say the same."""

import html
import json
import re
from datetime import datetime, timedelta

import pytest
from django.test import Client
from django.utils import timezone

from hosts.models import Finding, Host, Reading
from labpanel.cli.management.commands.panel import Command
from labpanel.symptoms.facts.hosts import SilentHost
from labpanel.symptoms.facts.vms import Crash, Pause, VmCrashed, VmPaused
from tests.pages import factory
from tests.pages.lab import Lab

pytestmark = pytest.mark.django_db
Capture = pytest.CaptureFixture[str]


def of_page(client: Client) -> list[str]:
    """The headline of the overview, and what it has behind it."""
    page = client.get("/").content.decode()
    head = re.search(r'<h1 id="state">(.*?)</h1>', page, re.S)
    assert head
    more = re.search(r'<ul class="more">(.*?)</ul>', page, re.S)
    rest = re.findall(r"<li>(.*?)</li>", more[1], re.S) if more else []
    return [html.unescape(each) for each in (head[1], *rest)]


def of_verb(capsys: Capture, *words: str) -> list[str]:
    capsys.readouterr()
    assert Command().dispatch(["incidents", *words, "--json"]) == 0
    return [row["title"] for row in json.loads(capsys.readouterr().out)]


def of_text(capsys: Capture) -> list[str]:
    capsys.readouterr()
    assert Command().dispatch(["incidents"]) == 0
    lines = capsys.readouterr().out.splitlines()
    return [line.partition("  ")[2] for line in lines if not line.startswith("  ")]


def of_api(client: Client) -> list[str]:
    return [row["title"] for row in client.get("/api/v1/incidents").json()]


def all_alike(client: Client, capsys: Capture) -> list[str]:
    said = of_page(client)
    assert of_verb(capsys) == said
    assert of_text(capsys) == said
    assert of_api(client) == said
    return said


def at(hour: int, minute: int) -> datetime:
    """Of today, where the panel is."""
    return timezone.localtime().replace(hour=hour, minute=minute, second=0, microsecond=0)


def test_a_lab_in_every_kind_of_trouble(signed_in: Client, lab: Lab, capsys: Capture) -> None:
    """A finding, a silent host, disks without copies, a copy that counts for nothing, a VM that
    crashed, a host whose file systems were not looked at."""
    now = timezone.now()
    Host.objects.filter(name="beta").update(failing_since=now, error="No route to beta.")
    factory.make_host("gamma")
    Reading.objects.filter(host__name="gamma").delete()
    factory.make_generation(lab.home, lab.store, timedelta(hours=1), "vda", trust="forged")
    factory.make_finding(
        lab.alpha,
        lab.home,
        facts=VmCrashed("home", "alpha", Crash.CRASHED, at(2, 14)),
        subject=str(lab.home.uuid),
    )
    said = all_alike(signed_in, capsys)
    assert len(said) == len(set(said))
    for part in (
        "alpha cannot write to /srv/images",
        "home crashed on alpha at 02:14",
        "beta does not answer.",
        "would be lost with their host",
        "of home in far",
        "The file systems of gamma were not checked",
    ):
        assert any(part in each for each in said), part
    assert said[0] == "alpha cannot write to /srv/images"


def test_a_host_that_is_silent_before_it_is_a_finding(
    signed_in: Client, lab: Lab, capsys: Capture
) -> None:
    now = timezone.now()
    Finding.objects.all().delete()
    Host.objects.filter(name="beta").update(failing_since=now, error="No route to beta.")
    assert all_alike(signed_in, capsys)[0] == "beta does not answer."
    beta = signed_in.get("/hosts/beta/").content.decode()
    assert "beta does not answer since" in beta
    assert of_verb(capsys, "--host", "beta")[0] == "beta does not answer."
    assert "beta does not answer." not in of_verb(capsys, "--host", "alpha")
    factory.make_finding(lab.beta, facts=SilentHost("beta", at(2, 14)), subject="")
    said = all_alike(signed_in, capsys)
    assert "beta does not answer." not in said  # the finding says so: one cause is said once
    assert "beta does not answer since 02:14" in said


def test_only_disks_are_in_danger(signed_in: Client, lab: Lab, capsys: Capture) -> None:
    Finding.objects.all().delete()
    said = all_alike(signed_in, capsys)
    assert len(said) >= 1


def test_a_lab_that_is_well_is_well_everywhere(signed_in: Client, capsys: Capture) -> None:
    host, away = factory.make_host("alpha"), factory.make_host("beta")
    vm, store = factory.make_vm(host, "home", disks=1), factory.make_store(away)
    proven = factory.make_generation(
        vm, store, timedelta(hours=3), "vda", verified_at=timezone.now()
    )
    factory.make_rehearsal(proven, away)
    assert of_page(signed_in) == ["All is well."]
    assert of_verb(capsys) == of_api(signed_in) == []


def test_the_shape_is_that_of_an_incident(signed_in: Client, lab: Lab) -> None:
    now = timezone.now()
    Host.objects.filter(name="beta").update(failing_since=now, error="No route to beta.")
    rows = signed_in.get("/api/v1/incidents").json()
    keys = set(rows[0]) - {"store"}
    assert all(set(row) - {"store"} == keys for row in rows)
    silent = next(row for row in rows if row["kind"] == "silent")
    assert (silent["host"], silent["id"], silent["acts"]) == ("beta", None, [])
    assert {each["vm"] for each in silent["affected"]} == {"web"}


def test_a_vms_own_trouble_does_not_paint_its_host(signed_in: Client, lab: Lab) -> None:
    Finding.objects.all().delete()
    factory.make_finding(
        lab.alpha,
        lab.home,
        facts=VmPaused("home", "alpha", Pause.NO_SPACE, ("vda",), at(2, 14)),
        subject=str(lab.home.uuid),
    )
    page = signed_in.get("/").content.decode()
    assert "in trouble" not in page
    of_vm = signed_in.get(f"/vms/{lab.home.uuid}/").content.decode()
    assert 'value="resume">Resume home' in of_vm
    assert "I have seen it" not in of_vm


def test_the_button_that_says_seen(signed_in: Client, lab: Lab) -> None:
    crash = factory.make_finding(
        lab.alpha,
        lab.home,
        facts=VmCrashed("home", "alpha", Crash.CRASHED, at(2, 14)),
        subject=str(lab.home.uuid),
    )
    page = signed_in.get(f"/vms/{lab.home.uuid}/").content.decode()
    assert f"/incidents/{crash.pk}/seen/" in page
    assert 'value="start">Start home' in page
    answer = signed_in.post(f"/incidents/{crash.pk}/seen/", HTTP_REFERER="http://testserver/x/")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/x/")
    crash.refresh_from_db()
    assert (crash.resolved_at is not None, crash.ended_by) == (True, "olga")
    assert signed_in.post(f"/incidents/{crash.pk}/seen/").status_code == 409
    assert signed_in.post(f"/incidents/{lab.finding.pk}/seen/").status_code == 409
    assert signed_in.post("/incidents/7000000/seen/").status_code == 404
    api = signed_in.post(f"/api/v1/incidents/{crash.pk}/seen", content_type="application/json")
    assert (api.status_code, "is over already" in api.json()["error"]) == (409, True)
