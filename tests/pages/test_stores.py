"""The pages of stores: how full, how long, how fast, and what is kept for whom."""

import json
from datetime import timedelta

import pytest
from django.test import Client

from backups.models import Generation, Store
from labpanel.cli.management.commands.panel import Command
from tests.pages import factory
from tests.pages.lab import Lab, add_history


def text_of(client: Client, address: str) -> str:
    return client.get(address).content.decode().replace("\N{NO-BREAK SPACE}", " ")


def test_a_store_says_when_it_is_full_and_what_it_keeps(signed_in: Client, lab: Lab) -> None:
    add_history(lab)
    page = text_of(signed_in, "/stores/far/")
    assert "2 GiB a day, 14 GiB a week" in page
    assert "about 250 d" in page
    assert f'href="/vms/{lab.home.uuid}/copies/"' in page
    assert "1 is damaged" in page
    assert "By 1 reading back there" in page


def test_nothing_is_said_of_growth_after_three_days(signed_in: Client, lab: Lab) -> None:
    factory.make_readings(lab.store, days=3)
    assert "said after 4 days (3 so far)" in text_of(signed_in, "/stores/far/")


def test_a_store_that_does_not_answer_says_so(signed_in: Client, lab: Lab) -> None:
    Store.objects.filter(pk=lab.store.pk).update(error="beta does not answer.")
    for address in ("/stores/", "/stores/far/"):
        page = text_of(signed_in, address)
        assert "beta does not answer." in page
        assert "not usable" in page


def test_a_store_on_the_drive_that_it_should_protect(signed_in: Client, lab: Lab) -> None:
    Store.objects.filter(name="near").update(drives=["WD-alpha"])
    page = text_of(signed_in, "/stores/near/")
    assert "It dies with them: it lies on the same drive as images of alpha." in page
    assert "never counts as a second place" in page


def test_what_is_not_the_panels_is_named(signed_in: Client, lab: Lab) -> None:
    Store.objects.filter(name="near").update(strangers=["lost+found", "<b>holiday</b>.jpg"])
    page = text_of(signed_in, "/stores/near/")
    assert "&lt;b&gt;holiday&lt;/b&gt;.jpg" in page
    assert "leaves it alone" in page
    assert "leaves it alone" not in text_of(signed_in, "/stores/far/")


def test_a_pruning_that_broke_off_is_told_until_one_is_done(signed_in: Client, lab: Lab) -> None:
    asked = {"vm_uuid": str(lab.home.uuid), "store": lab.store.pk}
    ago = timedelta(hours=2)
    factory.make_job("prune", lab.home, ago, state="lost", sentence="Its worker died.",
                     parameters=asked)  # fmt: skip
    assert "Its worker died." in text_of(signed_in, "/stores/far/")
    assert "Its worker died." not in text_of(signed_in, "/stores/near/")
    factory.make_job("prune", lab.home, ago / 2, parameters=asked)
    assert "Its worker died." not in text_of(signed_in, "/stores/far/")


def test_what_is_gone_from_a_store_is_not_counted(signed_in: Client, lab: Lab) -> None:
    Generation.objects.update(state=Generation.State.MISSING)
    assert "Nothing yet." in text_of(signed_in, "/stores/far/")


def test_the_same_by_api_and_by_command(
    signed_in: Client, lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    add_history(lab)
    told = signed_in.get("/api/v1/stores/far").json()
    assert told["growth"]["bytes_per_day"] == 2 * factory.GIB
    assert {vm["vm"]: vm["damaged"] for vm in told["vms"]}["home"] == 1
    assert Command().dispatch(["store", "show", "far", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert {**printed, "looked_at": None} == {**told, "looked_at": None}
    assert Command().dispatch(["store", "show", "far"]) == 0
    assert "is full in about 250" in capsys.readouterr().out
    assert Command().dispatch(["store", "show", "fra"]) == 1


def test_the_copies_of_a_vm_with_what_is_wrong_and_what_stays(signed_in: Client, lab: Lab) -> None:
    add_history(lab)
    factory.make_generation(lab.home, lab.store, timedelta(hours=1), "vda").disks.update(
        unreadable=[[0, 4096]], missed=[[8192, 16384]]
    )
    page = text_of(signed_in, f"/vms/{lab.home.uuid}/copies/")
    assert "its source could not read 1 place (4 KiB)" in page
    assert "QEMU&#x27;s bitmap had missed 1 place (8 KiB)" in page
    assert "protected: before the big update" in page
    assert "differs from what was backed up" in page
    assert page.index("could not read") < page.index("before the big update")


def test_many_copies_come_in_pages(signed_in: Client, lab: Lab) -> None:
    made = [
        factory.make_generation(lab.web, lab.store, timedelta(hours=hours)) for hours in range(70)
    ]
    first = text_of(signed_in, f"/vms/{lab.web.uuid}/copies/")
    assert made[0].key in first
    assert made[-1].key not in first
    assert made[-1].key in text_of(signed_in, f"/vms/{lab.web.uuid}/copies/?page=2")


def test_a_copy_says_how_each_disk_was_saved_and_what_it_lacks(signed_in: Client, lab: Lab) -> None:
    lab.generation.disks.update(
        mode="deep",
        why="It is two weeks since all was read.",
        parent="20261101T020000Z-aaaaaa",
        unreadable=[[0, 4096]],
        missed=[[8192, 16384]],
        bad=[[0, 262144], [524288, 786432]],
    )
    page = text_of(signed_in, f"/generations/{lab.generation.key}/")
    for said in (
        "all read to check QEMU",
        'href="/generations/20261101T020000Z-aaaaaa/"',
        "It is two weeks since all was read.",
        "1 place (4 KiB) that the source could not read",
        "1 place (8 KiB) that QEMU’s bitmap had missed",
        "2 places (512 KiB) rotten in the store",
    ):
        assert said in page


def test_a_copy_that_did_not_come_up_says_so_first(signed_in: Client, lab: Lab) -> None:
    wrong = [{"what": "All disks are there", "passed": False, "seen": "vdb is missing"}]
    factory.make_rehearsal(
        lab.generation, lab.beta, passed=False, sentence="vdb is missing.", checks=wrong
    )
    page = text_of(signed_in, f"/generations/{lab.generation.key}/")
    assert "This copy failed its rehearsal." in page
    assert "it is whole" not in page
    coverage = text_of(signed_in, "/coverage/")
    assert "and that failed: vdb is missing." in coverage
    assert "Newest copy" in coverage


def test_copies_that_count_for_nothing_are_named_everywhere(
    signed_in: Client, lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = factory.make_generation(lab.home, lab.store, timedelta(hours=1), "vda", trust="strange")
    words = "appeared in the store without this panel&#x27;s signature"
    for address in ("/", f"/stores/{lab.store.name}/", odd.get_absolute_url()):
        assert words in text_of(signed_in, address), address
    assert Command().dispatch(["incidents"]) == 0
    assert f"Copy {odd.key} of home" in capsys.readouterr().out
    assert Command().dispatch(["generations"]) == 0
    assert "counts for nothing" in capsys.readouterr().out
