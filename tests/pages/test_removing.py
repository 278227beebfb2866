"""What was made can be unmade from the pages and the API: a trial restore, a store, a host."""

import json

import pytest
from django.test import Client

from backups.models import Generation, MadeVM, Store
from hosts.models import VM, Host
from labpanel.jobs.models import Job
from tests.pages.lab import Lab


@pytest.fixture
def trial(lab: Lab) -> VM:
    """home as if it had come from a restore."""
    MadeVM.objects.create(
        vm_uuid=lab.home.uuid,
        vm_name=lab.home.name,
        host=lab.home.host,
        way="restore",
        is_copy=True,
        generation=lab.generation.key,
        files=[{"path": "/srv/images/trial.qcow2", "inode": 7, "mark": "m"}],
    )
    VM.objects.filter(pk=lab.home.pk).update(state="shut off")
    Job.objects.all().delete()
    return lab.home


def test_a_trial_restore_offers_its_removal(signed_in: Client, lab: Lab, trial: VM) -> None:
    text = signed_in.get(f"/vms/{trial.uuid}/").content.decode()
    assert "home is a trial restore" in text
    assert "/srv/images/trial.qcow2" in text
    answer = signed_in.post(f"/vms/{trial.uuid}/remove/", {"images": "1", "name": "hom"})
    again = answer.content.decode()
    assert answer.status_code == 400
    assert 'role="alert"' in again and "type its name, home" in again
    assert 'name="images" value="1" checked' in again and 'value="hom"' in again
    assert not Job.objects.filter(kind="remove").exists()
    answer = signed_in.post(f"/vms/{trial.uuid}/remove/", {"images": "1", "name": "home"})
    job = Job.objects.get(kind="remove")
    assert answer["Location"] == job.get_absolute_url()
    assert job.parameters["images"] is True


def test_what_the_panel_did_not_make_offers_none(signed_in: Client, lab: Lab) -> None:
    assert "vm-remove" not in signed_in.get(f"/vms/{lab.home.uuid}/").content.decode()
    answer = signed_in.post(f"/vms/{lab.home.uuid}/remove/", {"images": "1", "name": "home"})
    assert answer.status_code == 409
    assert "was not made by this panel" in answer.content.decode()


def test_a_running_one_says_what_to_do(signed_in: Client, lab: Lab, trial: VM) -> None:
    VM.objects.filter(pk=trial.pk).update(state="running")
    answer = signed_in.post(f"/vms/{trial.uuid}/remove/", {})
    assert answer.status_code == 409
    assert "shut it down first" in answer.content.decode()


def test_removal_by_the_api(signed_in: Client, lab: Lab, trial: VM) -> None:
    address = f"/api/v1/vms/{trial.uuid}/removal"
    wrong = signed_in.post(address, json.dumps({"images": True}), "application/json")
    assert (wrong.status_code, "type its name" in wrong.json()["error"]) == (400, True)
    body = json.dumps({"images": True, "confirm": "home"})
    right = signed_in.post(address, body, "application/json")
    assert right.status_code == 202
    assert right.json()["job"] == Job.objects.get(kind="remove").pk


def test_a_store_is_forgotten_from_its_page(signed_in: Client, lab: Lab) -> None:
    page = signed_in.get(f"/stores/{lab.store.name}/").content.decode()
    assert "No file is touched" in page
    answer = signed_in.post(f"/stores/{lab.store.name}/remove/")
    if answer.status_code != 302:  # a protected copy, a policy: said inside the form
        assert 'role="alert"' in answer.content.decode()
        return
    assert answer["Location"] == "/settings/#stores"
    assert not Store.objects.filter(name=lab.store.name).exists()


def test_a_store_is_forgotten_by_the_api(signed_in: Client, lab: Lab) -> None:
    answer = signed_in.delete(f"/api/v1/stores/{lab.store.name}")
    assert answer.status_code in {200, 409}
    assert ("sentence" in answer.json()) == (answer.status_code == 200)
    assert signed_in.get("/api/v1/stores/places").status_code == 200


def test_a_host_is_forgotten_when_its_name_is_typed(signed_in: Client, lab: Lab) -> None:
    page = signed_in.get("/hosts/alpha/").content.decode()
    assert "The panel forgets alpha" in page
    assert "home" in page.split("The panel forgets alpha")[1][:300]
    no = signed_in.post("/hosts/alpha/remove/", {"typed": "beta"})
    assert no.status_code == 400
    assert 'value="beta"' in no.content.decode()
    assert Host.objects.filter(name="alpha").exists()
    needed = signed_in.post("/hosts/beta/remove/", {"typed": "beta"})
    assert needed.status_code == 409  # its store stands on it
    assert "needed for" in needed.content.decode()
    Job.objects.all().delete()
    Generation.objects.all().delete()
    Store.objects.filter(host__name="alpha").delete()
    gone = signed_in.post("/hosts/alpha/remove/", {"typed": "alpha"})
    assert gone["Location"] == "/settings/#hosts"
    assert not Host.objects.filter(name="alpha").exists()


def test_a_missing_vm_is_forgotten_from_its_page(signed_in: Client, lab: Lab) -> None:
    assert signed_in.post(f"/vms/{lab.home.uuid}/forget/").status_code == 409
    VM.objects.filter(pk=lab.home.pk).update(missing_since=lab.home.seen_at)
    assert "off the lists" in signed_in.get(f"/vms/{lab.home.uuid}/").content.decode()
