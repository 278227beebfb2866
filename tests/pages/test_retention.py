"""What is pruned, held and protected, on the pages, by the API and by the command line."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from backups.models import Generation, Hold, Policy
from hosts.models import VM
from labpanel.cli.management.commands.panel import Command
from labpanel.jobs.models import Job
from tests.pages import factory
from tests.pages.lab import HOSTILE, Lab

Capture = pytest.CaptureFixture[str]


def run(*words: str) -> int:
    return Command().dispatch(list(words))


@pytest.fixture
def many(lab: Lab) -> Lab:
    """home has four copies in far, of which its policy keeps two."""
    for days in (2, 4, 6):
        factory.make_generation(lab.home, lab.store, timedelta(days=days), "vda")
    Policy.objects.create(
        name="weekly", is_default=True, cron="0 2 * * 0", places=["far"], keep_last=2
    )
    return lab


def text(client: Client, lab: Lab) -> str:
    return client.get(f"/vms/{lab.home.uuid}/copies/").content.decode()


def test_the_page_says_what_would_go_next_and_why(signed_in: Client, many: Lab) -> None:
    shown = text(signed_in, many)
    assert "In far the policy weekly keeps the last 2 copies." in shown
    assert shown.count("older than the last 2 copies") == 2
    assert "2 copies would go next: which, and why" in shown
    assert "stays: one of the last 2" in shown
    assert "Prune home in far: 2 copies are deleted" in shown
    answer = signed_in.post(f"/vms/{many.home.uuid}/prune/", {"store": "far"})
    job = Job.objects.get(kind="prune")
    assert answer["Location"] == job.get_absolute_url()
    assert (job.asked_by, job.title) == ("olga", "Prune home in far")
    assert signed_in.post(f"/vms/{many.home.uuid}/prune/", {"store": "far"}).status_code == 409
    assert signed_in.post(f"/vms/{many.home.uuid}/prune/", {"store": "x"}).status_code == 404


def test_a_hold_stands_on_the_page_until_it_is_released(signed_in: Client, many: Lab) -> None:
    address = f"/vms/{many.home.uuid}/"
    assert signed_in.post(f"{address}hold/", {"reason": " "}).status_code == 400
    answer = signed_in.post(f"{address}hold/", {"reason": HOSTILE})
    assert answer["Location"] == f"{address}copies/"
    shown = text(signed_in, many)
    assert "<script>alert" not in shown
    assert "home is held since" in shown
    assert "Nothing would go now." in shown
    covered = signed_in.get("/coverage/").content.decode()
    assert f'formaction="{address}release/"' in covered
    assert "<script>alert" not in covered
    assert signed_in.post(f"{address}release/").status_code == 302
    assert signed_in.post(f"{address}release/").status_code == 409
    kept = Hold.objects.get()
    assert (kept.by, kept.released_by) == ("olga", "olga")
    assert "would go next" in text(signed_in, many)


def test_a_copy_is_protected_with_a_reason(signed_in: Client, many: Lab) -> None:
    oldest = Generation.objects.filter(vm_uuid=many.home.uuid).order_by("taken_at")[0]
    address = f"/generations/{oldest.key}/"
    assert signed_in.post(f"{address}protect/", {"reason": ""}).status_code == 400
    signed_in.post(f"{address}protect/", {"reason": "before the <b>upgrade</b>"})
    shown = signed_in.get(address).content.decode()
    assert "before the &lt;b&gt;upgrade&lt;/b&gt;" in shown
    assert text(signed_in, many).count("<b>would go next</b>") == 1
    assert signed_in.post(f"{address}unprotect/").status_code == 302
    assert signed_in.post(f"{address}unprotect/").status_code == 409


def api(client: Client, method: str, address: str, **body: Any) -> tuple[int, Any]:
    answer = getattr(client, method)(
        f"/api/v1/{address}", json.dumps(body), content_type="application/json"
    )
    return answer.status_code, answer.json()


def test_the_api(signed_in: Client, many: Lab) -> None:
    (plan,) = signed_in.get("/api/v1/retention?vm=home&store=far").json()
    assert (plan["vm"], plan["store"], plan["policy"]) == ("home", "far", "weekly")
    assert [each["fate"] for each in plan["generations"]] == ["kept", "kept", "dropped", "dropped"]
    assert plan["generations"][3]["reason"] == "older than the last 2 copies"
    status, held = api(signed_in, "post", "holds", vm="home", reason="pending sectors")
    assert (status, held["by"]) == (201, "olga")
    assert signed_in.get("/api/v1/holds").json() == [held]
    assert api(signed_in, "delete", "holds", vm="home")[0] == 200
    assert api(signed_in, "delete", "holds", vm="home")[0] == 409
    key = plan["generations"][3]["generation"]
    status, kept = api(signed_in, "post", f"generations/{key}/protection", reason="mine")
    assert (status, kept["protected_because"]) == (200, "mine")
    assert api(signed_in, "delete", f"generations/{key}/protection")[1]["protected_because"] == ""
    status, job = api(signed_in, "post", "prunes", vm="home", store="far")
    assert (status, job["state"]) == (202, "waiting")
    assert api(signed_in, "post", "prunes", vm="home", store="far")[0] == 409


def test_a_dry_run_on_the_command_line(many: Lab, capsys: Capture) -> None:
    assert run("prune", "home", "--dry-run") == 0
    told = capsys.readouterr().out
    assert "home in far: the policy weekly keeps the last 2 copies." in told
    assert told.count("dropped  older than the last 2 copies") == 2
    assert not Job.objects.filter(kind="prune").exists()
    assert run("prune", "--dry-run", "--json") == 0
    assert {plan["vm"] for plan in json.loads(capsys.readouterr().out)} == {
        vm.name for vm in VM.objects.all()
    }


def test_a_prune_of_all_asks_only_where_something_goes(many: Lab, capsys: Capture) -> None:
    assert run("prune", "--no-wait", "--json") == 0
    (asked,) = json.loads(capsys.readouterr().out)
    assert Job.objects.get(kind="prune").pk == asked["job"]
    Job.objects.all().delete()
    assert run("prune", "--store", "near", "--no-wait") == 0
    assert "Nothing has to go." in capsys.readouterr().out


def test_hold_release_protect_on_the_command_line(many: Lab, capsys: Capture) -> None:
    assert run("hold", "home") == 1
    assert run("hold", "home", "--reason", "pending sectors.") == 0
    assert "Nothing of home is pruned from now on: pending sectors." in capsys.readouterr().out
    assert run("hold") == 0
    assert "pending sectors" in capsys.readouterr().out
    assert run("hold", "--json") == 0
    assert json.loads(capsys.readouterr().out)[0]["by"] == "the command line"
    assert run("release", "home") == 0
    assert run("release", "home") == 1
    key = many.generation.key
    assert run("protect", key, "--reason", "mine") == 0
    assert run("unprotect", key, "--json") == 0
    assert run("unprotect", key) == 1
