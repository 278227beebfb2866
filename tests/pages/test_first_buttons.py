"""The first button always works: what the panel knows already, no button runs into."""

import re
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from backups.models import Generation, Store
from hosts.models import VM, FileSystem, Finding, Host
from labpanel.jobs.models import Job
from labpanel.symptoms.facts.file_systems import Cause, FileSystemTrouble
from labpanel.symptoms.stored import facts_as_json
from tests.pages import factory
from tests.pages.lab import Lab


@pytest.fixture
def lab(lab: Lab) -> Lab:
    """No job runs, and the copy that was booted last is from before the trouble."""
    Job.objects.all().delete()
    Generation.objects.filter(pk=lab.generation.pk).update(
        taken_at=lab.finding.opened_at - timedelta(minutes=5)
    )
    lab.odd.delete()
    return lab


def text(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    found: str = answer.content.decode()
    return found


def primaries(page: str) -> list[str]:
    """The words of the blue buttons, in the order of the page."""
    shape = r'<(a|button)\b[^>]*class="[^"]*\bprimary\b[^"]*"[^>]*>(.*?)</\1>'
    return [re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", found[1])).strip()
            for found in re.findall(shape, page, re.DOTALL)]  # fmt: skip


def silence(host: Host) -> None:
    since = timezone.now() - timedelta(minutes=4)
    host.seen_at, host.failing_since = since, since
    host.error = f"{host.name} does not answer."
    host.save()


def pages(lab: Lab) -> list[str]:
    home = lab.home.get_absolute_url()
    return ["/", lab.alpha.get_absolute_url(), home]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_suspect_the_one_blue_button_brings_it_back(
    signed_in: Client, lab: Lab, place: int
) -> None:
    page = text(signed_in, pages(lab)[place])
    found = primaries(page)
    assert len(found) == 1
    assert re.match(r"Bring home back on beta back to .*\d\d:\d\d", found[0]), found
    assert "Move home" not in page
    assert f"/vms/{lab.home.uuid}/back-up/" not in page


@pytest.mark.parametrize("place", [0, 1, 2])
def test_silent_the_same(signed_in: Client, lab: Lab, place: int) -> None:
    Finding.objects.update(resolved_at=timezone.now())
    silence(lab.alpha)
    found = primaries(text(signed_in, pages(lab)[place]))
    assert len(found) == 1
    assert found[0].startswith("Bring home back on beta")


def test_why_backing_up_is_not_offered(signed_in: Client, lab: Lab) -> None:
    page = text(signed_in, lab.home.get_absolute_url())
    assert "Backing up is not offered now: a copy made since" in page


def test_a_well_vm_keeps_its_buttons(signed_in: Client, lab: Lab) -> None:
    page = text(signed_in, lab.web.get_absolute_url())
    assert primaries(page) == ["Back up web to far"]
    assert "Bring web back" not in page


def test_a_vm_that_is_off_is_started_first(signed_in: Client, lab: Lab) -> None:
    VM.objects.filter(pk=lab.web.pk).update(state=VM.State.SHUTOFF)
    assert primaries(text(signed_in, lab.web.get_absolute_url())) == ["Start web"]


def test_a_paused_vm_is_resumed_first(signed_in: Client, lab: Lab) -> None:
    VM.objects.filter(pk=lab.web.pk).update(state=VM.State.PAUSED)
    assert primaries(text(signed_in, lab.web.get_absolute_url())) == ["Resume web"]


def test_a_move_is_offered_only_to_a_host_that_is_well(signed_in: Client, lab: Lab) -> None:
    factory.make_host("gamma")
    page = text(signed_in, lab.web.get_absolute_url())
    assert "Move web to gamma" in page
    assert "Move web to alpha" not in page  # it cannot write


@pytest.mark.parametrize(
    "change",
    [
        {"persistent": False},
        {"state": VM.State.CRASHED},
        {"memory_bytes": 64 * factory.GIB},
        {"missing_since": timezone.now()},
    ],
)
def test_no_move_that_the_plan_would_refuse(
    signed_in: Client, lab: Lab, change: dict[str, Any]
) -> None:
    factory.make_host("gamma")
    VM.objects.filter(pk=lab.web.pk).update(**change)
    assert "Move web to" not in text(signed_in, lab.web.get_absolute_url())


@pytest.mark.parametrize(
    "change", [{"shareable": True}, {"kind": "block"}, {"format": "vmdk"}, {"kind": "volume"}]
)
def test_no_move_of_a_disk_that_stays(signed_in: Client, lab: Lab, change: dict[str, Any]) -> None:
    factory.make_host("gamma")
    lab.web.disks.update(**change)
    assert "Move web to" not in text(signed_in, lab.web.get_absolute_url())


def test_a_copy_from_since_the_trouble_is_not_taken(signed_in: Client, lab: Lab) -> None:
    factory.make_generation(lab.home, lab.store, timedelta(minutes=1), "vda", "vdb",
                            verified_at=timezone.now())  # fmt: skip
    page = text(signed_in, f"/vms/{lab.home.uuid}/bring-back/")
    assert f'value="{lab.generation.key}"' in page


@pytest.mark.parametrize("state", ["damaged", "forged", "silent", "no copy", "no room", "ill"])
def test_what_cannot_come_back_has_no_button_but_a_reason(
    signed_in: Client, lab: Lab, state: str
) -> None:
    match state:
        case "damaged":
            Generation.objects.update(state="damaged")
        case "forged":
            Generation.objects.update(trust="forged")
        case "silent":
            silence(lab.beta)
        case "no copy":
            Generation.objects.all().delete()
        case "no room":
            FileSystem.objects.filter(host=lab.beta).update(available_bytes=factory.GIB)
        case "ill":
            factory.make_finding(lab.beta)
    for address in pages(lab)[1:]:
        page = text(signed_in, address)
        assert not [each for each in primaries(page) if each.startswith("Bring home")]
        assert "no good copy of home" in page or "No other host" in page
    page = text(signed_in, f"/vms/{lab.home.uuid}/bring-back/")
    assert "home cannot be brought back now." in page
    assert 'name="choice"' not in page


def test_the_page_says_what_the_copy_lacks(signed_in: Client, lab: Lab) -> None:
    page = text(signed_in, f"/vms/{lab.home.uuid}/bring-back/")
    assert "Not in this copy:" in page
    assert "vdb" in page


def test_the_second_tap_opens_the_job(signed_in: Client, lab: Lab) -> None:
    address = f"/vms/{lab.home.uuid}/bring-back/"
    page = text(signed_in, address)
    assert primaries(page) == ["Yes, bring home back"]
    assert "home on alpha is switched off first" in page
    answer = signed_in.post(address, {"choice": "stop", "copy": lab.generation.key, "to": "beta"})
    job = Job.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, job.get_absolute_url())
    asked = job.parameters
    assert (job.kind, asked["name"], asked["start"]) == ("instant", "home-restored", True)
    assert (asked["of"], asked["stop"]) == (str(lab.home.uuid), lab.home.pk)
    assert "home is being brought back" in text(signed_in, "/")
    assert "home is being brought back" in text(signed_in, address)


@pytest.mark.parametrize(
    ("choice", "kind", "start", "stops"),
    [("run", "instant", True, False), ("off", "restore", False, False)],
)
def test_the_other_choices(
    signed_in: Client, lab: Lab, choice: str, kind: str, start: bool, stops: bool
) -> None:
    said = {"choice": choice, "copy": lab.generation.key, "to": "beta"}
    signed_in.post(f"/vms/{lab.home.uuid}/bring-back/", said)
    job = Job.objects.get()
    assert (job.kind, job.parameters["start"]) == (kind, start)
    assert bool(job.parameters["stop"]) == stops


@pytest.mark.parametrize(
    "change",
    [{"choice": ""}, {"choice": "dance"}, {"copy": "x"}, {"copy": ""}, {"to": "gamma"}, {"to": ""}],
)
def test_odd_forms_are_refused(signed_in: Client, lab: Lab, change: dict[str, str]) -> None:
    said = {"choice": "stop", "copy": lab.generation.key, "to": "beta", **change}
    assert signed_in.post(f"/vms/{lab.home.uuid}/bring-back/", said).status_code == 400
    assert not Job.objects.exists()


def test_another_vms_copy_is_refused(signed_in: Client, lab: Lab) -> None:
    said = {"choice": "stop", "copy": lab.generation.key, "to": "beta"}
    assert signed_in.post(f"/vms/{lab.web.uuid}/bring-back/", said).status_code == 400
    assert not Job.objects.exists()


def test_once_it_is_back_it_is_not_offered_again(signed_in: Client, lab: Lab) -> None:
    back = factory.make_vm(lab.beta, "home-restored")
    of, came = {"of": str(lab.home.uuid)}, {"uuid": str(back.uuid)}
    factory.make_job("instant", lab.home, timedelta(minutes=1), parameters=of, result=came)
    page = text(signed_in, "/")
    assert "home was brought back on beta" in page
    assert f'href="{back.get_absolute_url()}"' in page
    assert not [each for each in primaries(page) if each.startswith("Bring")]
    back.missing_since = timezone.now()
    back.save()
    assert primaries(text(signed_in, "/"))[0].startswith("Bring home back on beta")


def many(lab: Lab, number: int) -> list[VM]:
    vms = [factory.make_vm(lab.alpha, f"vm{each}", disks=1) for each in range(number)]
    for vm in vms:
        factory.make_generation(vm, lab.store, timedelta(hours=4), "vda")
    lab.finding.vms.set([lab.home, *vms])
    return vms


def test_all_of_them_not_the_first_three(signed_in: Client, lab: Lab) -> None:
    vms = many(lab, 4)
    for address in pages(lab)[:2]:
        page = text(signed_in, address)
        assert [each[:27] for each in primaries(page)] == ["Bring all 5 back on beta ba"]
        for vm in [lab.home, *vms]:
            assert f'href="/vms/{vm.uuid}/bring-back/"' in page


def test_a_job_for_each_and_one_that_cannot_keeps_no_other(signed_in: Client, lab: Lab) -> None:
    vms = many(lab, 3)
    Generation.objects.filter(vm=vms[2]).delete()
    address = f"/hosts/{lab.alpha.name}/bring-back/"
    page = text(signed_in, address)
    assert primaries(page) == ["Yes, bring all 3 back"]
    assert "no good copy of vm2" in page
    fields = dict(re.findall(r'name="(copy-[^"]+)" value="([^"]+)"', page))
    assert len(fields) == 3
    answer = signed_in.post(address, {"choice": "stop", **fields})
    assert (answer.status_code, answer["Location"]) == (302, address)
    group = Job.objects.get(kind="group")
    assert group.title == "Bring 3 VMs of alpha back"
    assert {job.parameters["name"] for job in Job.objects.exclude(pk=group.pk)} == {
        "home-restored", "vm0-restored", "vm1-restored"
    }  # fmt: skip
    assert group.children.count() == 3
    assert text(signed_in, address).count("being brought back") == 3


def test_brought_back_with_others_what_was_off_stays_off(signed_in: Client, lab: Lab) -> None:
    vms = many(lab, 2)
    VM.objects.filter(pk=vms[1].pk).update(state=VM.State.SHUTOFF)
    address = f"/hosts/{lab.alpha.name}/bring-back/"
    page = text(signed_in, address)
    assert page.count("off as it is now") == 1
    fields = dict(re.findall(r'name="(copy-[^"]+)" value="([^"]+)"', page))
    signed_in.post(address, {"choice": "stop", **fields})
    jobs = Job.objects.exclude(kind="group")
    started = {job.parameters["name"]: job.parameters["start"] for job in jobs}
    assert started == {"home-restored": True, "vm0-restored": True, "vm1-restored": False}


def test_what_was_refused_is_said_beside_what_was_not(signed_in: Client, lab: Lab) -> None:
    vms = many(lab, 2)
    Generation.objects.filter(vm=vms[1]).update(key="gone")
    fields = {f"copy-{vm.uuid}": "nothing" for vm in vms}
    fields[f"copy-{lab.home.uuid}"] = lab.generation.key
    answer = signed_in.post(f"/hosts/{lab.alpha.name}/bring-back/", {"choice": "run", **fields})
    assert answer.status_code == 409
    assert Job.objects.count() == 1
    assert "vm0: Say which copy of vm0" in answer.content.decode()


def test_coverage_offers_no_copy_that_is_not_to_be_trusted(signed_in: Client, lab: Lab) -> None:
    page = text(signed_in, "/coverage/")
    assert f"{lab.home.get_absolute_url()}back-up/" not in page
    assert "may hold what the disks lost or damaged" in page
    Finding.objects.update(resolved_at=timezone.now())
    assert f"{lab.home.get_absolute_url()}back-up/" in text(signed_in, "/coverage/")
    silence(lab.alpha)
    page = text(signed_in, "/coverage/")
    assert f"{lab.home.get_absolute_url()}back-up/" not in page
    assert "Backing up is not offered now: alpha does not answer." in page


def test_coverage_names_the_newest_copy_in_each_store(signed_in: Client, lab: Lab) -> None:
    other = Store.objects.create(name="attic", host=None, path="/x", store_id=uuid4())
    factory.make_generation(lab.home, other, timedelta(hours=9), "vda", "vdb")
    silence(lab.alpha)
    page = text(signed_in, "/coverage/")
    assert "Newest good copy in attic" in page


def test_a_trouble_that_has_no_full_stop_gets_one(signed_in: Client, lab: Lab) -> None:
    """The sentences of findings end with a time: "… since 05:29"."""
    at = timezone.localtime().replace(hour=5, minute=29)
    trouble = FileSystemTrouble("alpha", "/srv/images", Cause.READ_ONLY, since=at)
    Finding.objects.update(facts=facts_as_json(trouble))
    page = text(signed_in, f"/vms/{lab.home.uuid}/bring-back/")
    assert "since 05:29. The copy is in" in page


def test_nothing_to_bring_back_is_said(signed_in: Client, lab: Lab) -> None:
    assert "need not be brought back" in text(signed_in, f"/vms/{lab.web.uuid}/bring-back/")
    assert "No VM of beta need" in text(signed_in, f"/hosts/{lab.beta.name}/bring-back/")


def test_a_store_on_the_very_drive_is_no_way_back(signed_in: Client, lab: Lab) -> None:
    # a directory that the panel's own machine has on alpha's drive, say over the network
    Store.objects.filter(pk=lab.store.pk).update(drives=["WD-alpha"], path="/srv/x")
    page = text(signed_in, f"/vms/{lab.home.uuid}/bring-back/")
    assert "home cannot be brought back now." in page


@pytest.mark.parametrize("place", [0, 1])
def test_a_row_shows_the_worst_and_is_sorted_by_it(signed_in: Client, lab: Lab, place: int) -> None:
    factory.make_vm(lab.alpha, "apart", disks=0)
    now = timezone.now()
    Generation.objects.filter(vm=lab.home).update(verified_at=now, rehearsed_at=now)
    lab.home.disks.filter(target="vdb").delete()
    page = text(signed_in, pages(lab)[place])
    rows = re.findall(r'data-key="vm-(\d+)".*?class="mark (\w+)">([^<]*)<', page, re.DOTALL)
    first = next(row for row in rows)
    assert first[:2] == (str(lab.home.pk), "bad")
    assert re.match(r"cannot write · copy 3.h ago", first[2])
    page = text(signed_in, lab.home.get_absolute_url())
    assert "runs, but cannot write" in page
    assert '"mark good">running' not in page


def test_the_api_lists_the_worst_first(signed_in: Client, lab: Lab) -> None:
    found = signed_in.get("/api/v1/vms").json()
    assert found[0]["name"] == "home"
    assert found[0]["condition"]["level"] == "bad"
    assert found[0]["condition"]["words"].startswith("cannot write · ")
    assert signed_in.get("/api/v1/vms?x=1").status_code == 400


def test_of_a_silent_host_nothing_is_good(signed_in: Client, lab: Lab) -> None:
    Finding.objects.update(resolved_at=timezone.now())
    silence(lab.alpha)
    (home,) = [vm for vm in signed_in.get("/api/v1/vms").json() if vm["name"] == "home"]
    assert home["condition"]["words"].startswith("unknown · ")
