"""Every button: what it opens in the ledger, and what a no looks like."""

from typing import Any

import pytest
from django.test import Client

from backups.models import Store
from hosts.models import Host
from hosts.services.machines import add_host
from labpanel.adapters.errors import Unreachable
from labpanel.adapters.ssh.host_key import HostKey
from labpanel.jobs.models import Job
from labpanel.lib.refusal import Refusal
from tests.pages.lab import Lab


def newest() -> Job:
    return Job.objects.order_by("-pk")[0]


def test_back_up(signed_in: Client, lab: Lab, broker: list[tuple[str, list[Any]]]) -> None:
    answer = signed_in.post(f"/vms/{lab.web.uuid}/back-up/", {"store": "far"})
    job = newest()
    assert (job.kind, job.asked_by, job.subject) == ("backup", "olga", f"vm:{lab.web.uuid}")
    assert answer.status_code == 302
    assert answer["Location"] == f"/jobs/{job.pk}/"


def test_a_second_click_leads_to_the_first(signed_in: Client, lab: Lab) -> None:
    signed_in.post(f"/vms/{lab.web.uuid}/back-up/", {"store": "far"})
    job = newest()
    here = "http://testserver/coverage/"
    answer = signed_in.post(
        f"/vms/{lab.web.uuid}/back-up/", {"store": "far"}, headers={"referer": here}
    )
    assert answer.status_code == 409
    text = answer.content.decode()
    assert "already being worked on" in text
    assert f'href="/jobs/{job.pk}/"' in text
    assert 'href="/coverage/"' in text


@pytest.mark.parametrize(("store", "said"), [("", "Say to which store."), ("x", "no store")])
def test_back_up_to_nowhere(signed_in: Client, lab: Lab, store: str, said: str) -> None:
    before = Job.objects.count()
    answer = signed_in.post(f"/vms/{lab.web.uuid}/back-up/", {"store": store})
    assert answer.status_code == 400
    assert said in answer.content.decode()
    assert Job.objects.count() == before


@pytest.mark.parametrize(
    ("verb", "status"), [("resume", 409), ("start", 409), ("dance", 400), ("", 400)]
)
def test_power_that_cannot_be(signed_in: Client, lab: Lab, verb: str, status: int) -> None:
    answer = signed_in.post(f"/vms/{lab.home.uuid}/power/", {"verb": verb})
    assert answer.status_code == status
    assert newest().kind != "power"


@pytest.mark.parametrize(
    ("verb", "asks"),
    [
        ("destroy", "Cut the power of home?"),
        ("reset", "Reset home?"),
        ("shutdown", "Shut home down?"),
        ("reboot", "Reboot home?"),
    ],
)
def test_what_ends_a_vm_asks_once_more(signed_in: Client, lab: Lab, verb: str, asks: str) -> None:
    """A thumb on a phone had ended a running VM 0.6 s after the tap."""
    address = f"/vms/{lab.home.uuid}/power/"
    Job.objects.all().delete()
    assert (
        f'href="{address}?verb={verb}"'
        in signed_in.get(lab.home.get_absolute_url()).content.decode()
    )
    first = signed_in.post(address, {"verb": verb})  # a form of before, or a program
    assert not Job.objects.exists()
    for answer in (first, signed_in.get(f"{address}?verb={verb}")):
        said = answer.content.decode()
        assert answer.status_code in {200, 409}
        assert asks in said
        assert 'name="confirmed"' in said
        assert "Keep it running" in said
    signed_in.post(address, {"verb": verb, "confirmed": "another"})
    assert not Job.objects.exists()
    assert signed_in.post(address, {"verb": verb, "confirmed": verb}).status_code == 302
    assert (newest().kind, newest().parameters["verb"]) == ("power", verb)


def test_what_is_lost_by_a_cut_is_said(signed_in: Client, lab: Lab) -> None:
    said = signed_in.get(f"/vms/{lab.home.uuid}/power/?verb=destroy").content.decode()
    assert "What it has not written yet is lost" in said


@pytest.mark.parametrize("query", ["", "?verb=dance", "?verb=start"])
def test_the_sheet_of_nothing_is_the_vms_page(signed_in: Client, lab: Lab, query: str) -> None:
    answer = signed_in.get(f"/vms/{lab.home.uuid}/power/{query}")
    assert (answer.status_code, answer["Location"]) == (302, lab.home.get_absolute_url())


def test_starting_needs_one_tap(signed_in: Client, lab: Lab) -> None:
    assert signed_in.post(f"/vms/{lab.odd.uuid}/power/", {"verb": "start"}).status_code == 302


@pytest.mark.parametrize(("level", "status"), [("1", 302), ("2", 302), ("3", 400)])
def test_verify(signed_in: Client, lab: Lab, level: str, status: int) -> None:
    address = f"/generations/{lab.generation.key}/verify/"
    assert signed_in.post(address, {"level": level}).status_code == status


def test_restore(signed_in: Client, lab: Lab) -> None:
    address = f"/generations/{lab.generation.key}/restore/"
    asked = {"to": "beta", "name": "home-copy", "start": "1"}
    assert signed_in.post(address, asked).status_code == 302
    job = newest()
    assert job.kind == "restore"
    assert job.parameters["name"] == "home-copy"
    assert job.parameters["start"] is True


def test_restore_of_chosen_disks_at_once(signed_in: Client, lab: Lab) -> None:
    key = lab.generation.key
    asked = {"to": "beta", "way": "instant", "cap": "2.5", "disk-vda": key, "disk-vdb": ""}
    assert signed_in.post(f"/generations/{key}/restore/", asked).status_code == 302
    job = newest()
    assert job.kind == "instant"
    assert job.parameters["disks"] == {"vda": key}
    assert job.parameters["bytes_per_second"] == 5 << 19


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"way": "in-place"}, "shut it down first, or have it shut down"),
        ({"to": "beta", "disk-vda": "nothing"}, "There is no generation nothing."),
        ({"to": "beta", "disk-vda": ""}, "Say which disks are to come back"),
        ({"to": "beta", "cap": "fast"}, "The speed is a number"),
        ({}, "Say on which host."),
        ({"to": "gamma"}, "There is no host"),
        ({"to": "alpha", "name": "home"}, "already"),
        ({"to": "beta", "name": "../x"}, "no slash"),
    ],
)
def test_restore_refused(signed_in: Client, lab: Lab, asked: dict[str, str], said: str) -> None:
    answer = signed_in.post(f"/generations/{lab.generation.key}/restore/", asked)
    assert answer.status_code in {400, 409}
    assert said in answer.content.decode()
    assert newest() == lab.job


def test_cancel(signed_in: Client, lab: Lab) -> None:
    assert signed_in.post(f"/jobs/{lab.job.pk}/cancel/").status_code == 302
    lab.job.refresh_from_db()
    assert lab.job.cancel_asked
    Job.objects.update(state="done")
    assert signed_in.post(f"/jobs/{lab.job.pk}/cancel/").status_code == 409


def test_a_host_is_confirmed_before_it_is_added(
    signed_in: Client, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = HostKey("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ+gamma")
    monkeypatch.setattr(add_host, "fetch_key", lambda asked: key)
    monkeypatch.setattr(add_host, "_try", lambda endpoint: None)
    monkeypatch.setattr(add_host, "look", lambda host, now: None)
    asked = {"name": "gamma", "target": "root@10.77.9.9"}
    page = signed_in.post("/settings/hosts/look/", asked).content.decode()
    assert key.fingerprint in page.replace("&#x2B;", "+")
    assert not Host.objects.filter(name="gamma").exists()
    wrong = signed_in.post("/settings/hosts/add/", {**asked, "fingerprint": "SHA256:else"})
    assert wrong.status_code == 409
    assert not Host.objects.filter(name="gamma").exists()
    right = signed_in.post("/settings/hosts/add/", {**asked, "fingerprint": key.fingerprint})
    assert right["Location"] == "/hosts/gamma/"


def test_a_host_that_is_not_there(
    signed_in: Client, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch_key(asked: add_host.NewHost) -> HostKey:
        raise Unreachable(f"{asked.name} does not answer.")

    monkeypatch.setattr(add_host, "fetch_key", fetch_key)
    asked = {"name": "gamma", "target": "root@10.77.9.9"}
    answer = signed_in.post("/settings/hosts/look/", asked)
    assert answer.status_code == 502
    assert "gamma does not answer." in answer.content.decode()
    taken = signed_in.post("/settings/hosts/look/", {**asked, "name": "alpha"})
    assert taken.status_code == 409


def test_add_store(signed_in: Client, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, Host | None, str]] = []

    def add_store(name: str, host: Host | None, path: str, **ticks: bool) -> Store:
        asked.append((name, host, path))
        if name == "full":
            raise Refusal("On beta: there is no room.", 409)
        return lab.store

    monkeypatch.setattr("backups.views.stores.add_store", add_store)
    form = {"name": "second", "host": "beta", "path": "/srv/second"}
    assert signed_in.post("/stores/add/", form)["Location"] == "/settings/#stores"
    assert asked == [("second", lab.beta, "/srv/second")]
    full = signed_in.post("/stores/add/", {**form, "name": "full"})
    assert full.status_code == 409
    assert "there is no room" in full.content.decode()
    assert signed_in.post("/stores/add/", {**form, "path": "srv"}).status_code == 400
    assert signed_in.post("/stores/add/", {**form, "host": "gamma"}).status_code == 400
