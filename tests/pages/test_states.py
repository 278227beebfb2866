"""Pages in every state of the lab: empty, silent, well; each template is rendered by some test."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from backups.models import Store
from hosts.models import VM, Finding, Host
from labpanel.adapters.ssh.host_key import HostKey
from labpanel.jobs.models import Job
from tests.pages import factory
from tests.pages.lab import Lab, add_history, addresses


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    for view in ("overview", "settings"):
        where = f"labpanel.home.views.{view}.public_key"
        monkeypatch.setattr(where, lambda: "ssh-ed25519 AAAA panel")


def text_of(client: Client, address: str) -> str:
    return client.get(address).content.decode()


def test_without_a_host_the_way_in_is_shown(signed_in: Client) -> None:
    page = text_of(signed_in, "/")
    assert "No host is known yet." in page
    assert "ssh-ed25519 AAAA panel" in page
    assert 'action="/settings/hosts/look/"' in page


def test_empty_pages_teach(signed_in: Client, db: None) -> None:
    assert "No virtual disk is known yet." in text_of(signed_in, "/coverage/")
    assert "Nothing was done yet." in text_of(signed_in, "/jobs/")
    assert "The right place is another host" in text_of(signed_in, "/settings/")


def test_a_silent_host_leaves_its_vms_unknown(signed_in: Client, lab: Lab) -> None:
    Finding.objects.all().delete()
    since = timezone.now() - timedelta(minutes=5)
    Host.objects.filter(pk=lab.alpha.pk).update(
        seen_at=since, failing_since=since, error="alpha does not answer within 10 s."
    )
    page = text_of(signed_in, "/")
    assert "alpha does not answer." in page
    assert "unknown now" in page
    vm = text_of(signed_in, f"/vms/{lab.home.uuid}/")
    assert '<span class="mark none">unknown</span>' in vm
    assert '<span class="mark good">running</span>' not in vm
    assert "last known state" in text_of(signed_in, "/hosts/alpha/")
    assert '<span class="mark good">well</span>' not in text_of(signed_in, "/hosts/alpha/")


def test_a_libvirt_that_hangs_is_not_a_host_that_is_well(signed_in: Client, lab: Lab) -> None:
    Finding.objects.all().delete()
    since = timezone.now() - timedelta(minutes=5)
    Host.objects.filter(pk=lab.alpha.pk).update(
        libvirt_seen_at=since, libvirt_failing_since=since, libvirt_error="libvirt hangs."
    )
    assert "libvirt hangs." in text_of(signed_in, "/")


def test_a_vm_that_vanished(signed_in: Client, lab: Lab) -> None:
    VM.objects.filter(pk=lab.home.pk).update(missing_since=timezone.now())
    assert '<span class="mark bad">missing</span>' in text_of(signed_in, f"/vms/{lab.home.uuid}/")
    assert str(lab.home.uuid) not in text_of(signed_in, "/").split("Virtual machines")[1]


def test_old_values_are_not_the_present(signed_in: Client, lab: Lab) -> None:
    from hosts.models import Subject

    Subject.objects.update(latest_at=int(timezone.now().timestamp()) - 300)
    assert "CPU –" in text_of(signed_in, "/")


@pytest.mark.parametrize("state", ["waiting", "done", "failed", "errored", "cancelled", "lost"])
def test_a_job_in_every_state(signed_in: Client, lab: Lab, state: str) -> None:
    Job.objects.update(state=state, sentence="It went so.", detail="Traceback", cancel_asked=False)
    page = text_of(signed_in, f"/jobs/{lab.job.pk}/")
    assert ("It went so." in page) == (state != "waiting")
    assert ("Cancel: Back up home to far" in page) == (state == "waiting")


def test_an_unknown_range_shows_the_last_hour(signed_in: Client, lab: Lab) -> None:
    assert '?range=1h"' in text_of(signed_in, f"/vms/{lab.home.uuid}/?range=<b>")


def test_every_template_of_the_pages_is_rendered(
    signed_in: Client, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of sign-in are rendered in test_accounts, those of moves in the tests of moves, the
    question about a definition in test_asking."""
    from hosts.services.machines import add_host
    from labpanel.env import REPOSITORY

    monkeypatch.setattr(add_host, "fetch_key", lambda asked: HostKey("ssh-ed25519 AAAA"))
    signed_in.raise_request_exception = False
    add_history(lab)
    asked = {"name": "gamma", "target": "root@10.77.9.9"}
    answers = [signed_in.get(address) for address in addresses(lab).values()]
    answers.append(signed_in.post("/settings/hosts/look/", asked))
    answers.append(signed_in.post("/stores/add/", {"path": "x"}))
    answers.append(signed_in.post("/policies/new/", {"name": ""}))
    answers.append(signed_in.get("/clock/"))
    answers.append(signed_in.get("/settings/hosts/look/"))
    failed = factory.make_job("instant", lab.home, timedelta(0), state="failed")
    answers.append(signed_in.get(failed.get_absolute_url()))
    answers.append(signed_in.get(f"/vms/{lab.home.uuid}/power/?verb=destroy"))
    answers.append(signed_in.post(f"/jobs/{lab.job.pk}/cancel/"))
    Job.objects.update(state="done")
    answers.append(signed_in.post(f"/jobs/{lab.job.pk}/cancel/"))
    answers.append(signed_in.get("/nowhere/"))
    Store.objects.all().delete()
    Host.objects.all().delete()
    answers.append(signed_in.get("/"))
    monkeypatch.setattr("labpanel.home.selectors.overview.overview", None)
    answers.append(signed_in.get("/"))
    rendered = {template.name for answer in answers for template in answer.templates}
    folder = REPOSITORY / "templates"
    ours = {str(path.relative_to(folder)) for path in folder.rglob("*.html")}
    ours = {name for name in ours if not name.startswith(("accounts/", "moves/"))}
    assert ours - rendered == {"backups/parts/asking.html"}
