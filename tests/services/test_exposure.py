"""If a host died now: from rows and from jobs that were done, by API and command line alike."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from backups.models import Generation, GenerationDisk, Store
from backups.selectors.copies.stored import stored_bytes
from backups.selectors.coverage.exposure import exposure
from backups.selectors.stores.speeds import speeds
from hosts.models import VM, Host
from labpanel.cli.management.commands.panel import Command
from labpanel.jobs.models import Job
from tests.pages import factory
from tests.pages.factory import GIB

pytestmark = pytest.mark.django_db


def job(kind: str, key: str, seconds: int, total: int, **parameters: Any) -> Job:
    begun = timezone.now() - timedelta(hours=1)
    return Job.objects.create(
        kind=kind,
        title=kind,
        state="done",
        total_bytes=total,
        parameters={"generation": key, **parameters},
        started_at=begun,
        ended_at=begun + timedelta(seconds=seconds),
    )


@pytest.fixture
def home() -> VM:
    return factory.make_vm(factory.make_host("alpha"), "home")


@pytest.fixture
def far() -> Store:
    return factory.make_store(factory.make_host("beta"))


@pytest.fixture
def kept(home: VM, far: Store) -> Generation:
    made = factory.make_generation(home, far, timedelta(hours=3), "vda")
    GenerationDisk.objects.update(mode="bitmap")
    return made


def test_nothing_measured_is_no_number(home: VM, kept: Generation) -> None:
    (alpha, beta) = exposure(timezone.now())
    assert (alpha.host, beta.host, beta.losses) == ("alpha", "beta", [])
    told = alpha.as_json()
    assert told["back_seconds"] is None
    (loss,) = told["vms"]
    assert loss["vm_uuid"] == str(home.uuid)
    assert loss["back"] is not None
    assert loss["back"]["seconds"] is None
    vdb, vda = sorted(loss["disks"], key=lambda disk: disk["minutes"] or -1)
    assert (vdb["disk"], vdb["everything"], vdb["bytes"]) == ("vdb", True, 38 * GIB)
    assert vda["newest"] is not None
    assert (vda["minutes"], vda["newest"]["generation"]) == (180, kept.key)


def test_restores_come_before_readings_and_readings_before_full_backups(kept: Generation) -> None:
    stored = 20 * GIB
    GenerationDisk.objects.update(mode="full", written_bytes=stored, seconds=40)
    assert speeds()["far"].bytes_per_second == GIB / 2
    job("verify", kept.key, 100, 900 * GIB, level=1)
    job("verify", kept.key, 20, 900 * GIB, level=2)
    assert (speeds()["far"].source, speeds()["far"].bytes_per_second) == ("verify", GIB)
    job("restore", kept.key, 40, 900 * GIB)
    assert (speeds()["far"].source, speeds()["far"].bytes_per_second) == ("restore", GIB / 2)
    (alpha, _) = exposure(timezone.now())
    assert alpha.as_json()["back_seconds"] == 40


def test_what_a_copy_backs_on_has_to_be_read_too(home: VM, far: Store, kept: Generation) -> None:
    job("restore", kept.key, 10, 900 * GIB)
    GenerationDisk.objects.update(written_bytes=10 * GIB)  # 1 GiB/s
    newer = factory.make_generation(home, far, timedelta(hours=2), "vda")
    newest = factory.make_generation(home, far, timedelta(hours=1), "vda")
    newer.disks.update(parent=kept.key, written_bytes=GIB)
    newest.disks.update(parent=newer.key, written_bytes=2 * GIB)
    (alpha, _) = exposure(timezone.now())
    back = alpha.as_json()["vms"][0]["back"]
    assert back is not None
    assert (back["bytes"], back["seconds"]) == (13 * GIB, 13)


def test_a_large_disk_with_little_on_it_is_back_in_seconds(home: VM, kept: Generation) -> None:
    job("restore", kept.key, 5, 900 * GIB)
    home.disks.update(capacity_bytes=900 * GIB)
    GenerationDisk.objects.update(written_bytes=40 << 20)
    (alpha, _) = exposure(timezone.now())
    assert alpha.as_json()["back_seconds"] == 5


def test_other_vms_and_stores_do_not_count(home: VM, far: Store, kept: Generation) -> None:
    GenerationDisk.objects.update(written_bytes=GIB)
    other = factory.make_vm(home.host, "other")
    factory.make_generation(other, far, timedelta(hours=1), "vda")
    near = factory.make_store(home.host, "near")
    factory.make_generation(home, near, timedelta(hours=4), "vda").disks.update(parent=kept.key)
    assert stored_bytes({kept.key}) == {(kept.key, "vda"): GIB}
    assert stored_bytes(set()) == {}


def test_restores_that_read_only_in_part_tell_no_speed(kept: Generation) -> None:
    job("restore", kept.key, 1, 50 * GIB, in_place=True)
    job("restore", kept.key, 1, 50 * GIB, disks={"vda": kept.key, "vdb": "another"})
    assert speeds() == {}
    GenerationDisk.objects.update(written_bytes=5 * GIB)
    job("restore", kept.key, 10, 5 * GIB, disks={"vda": kept.key, "vdb": ""})
    assert speeds()["far"].bytes_per_second == GIB / 2


def test_a_restore_of_a_generation_that_is_gone_tells_nothing(kept: Generation) -> None:
    job("restore", "20260101T000000Z-aaaaaa", 10, GIB)
    assert speeds() == {}


def test_the_number_of_queries_is_constant(home: VM, kept: Generation, far: Store) -> None:
    def counted() -> int:
        with CaptureQueriesContext(connection) as queries:
            exposure(timezone.now())
        return len(queries)

    job("restore", kept.key, 10, GIB)
    few = counted()
    for number in range(8):
        vm = factory.make_vm(home.host, f"vm{number}", disks=3)
        made = factory.make_generation(vm, far, timedelta(hours=number), "vda")
        job("restore", made.key, 10, GIB)
    assert counted() == few


def test_by_api_and_by_command(
    signed_in: Client, kept: Generation, capsys: pytest.CaptureFixture[str]
) -> None:
    told = signed_in.get("/api/v1/exposure?host=alpha").json()
    assert [death["host"] for death in told] == ["alpha"]
    assert signed_in.get("/api/v1/exposure?host=gamma").status_code == 404
    assert Command().dispatch(["exposure", "alpha", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == told
    assert Command().dispatch(["exposure"]) == 0
    table = capsys.readouterr().out
    assert "everything on vdb" in table
    assert "not measured yet" in table
    assert Command().dispatch(["exposure", "gamma"]) == 1


def test_a_silent_host_promises_no_time_at_once(home: VM, kept: Generation, far: Store) -> None:
    """beta did not answer its last look: its store was looked at a second ago."""
    job("restore", kept.key, 10, GIB)
    now = timezone.now()
    measured, _ = exposure(now)
    assert measured.as_json()["back_seconds"] is not None
    Host.objects.filter(name="beta").update(failing_since=now, error="No route to beta.")
    alpha, _ = exposure(now)
    told = alpha.as_json()
    assert told["back_seconds"] is None
    assert alpha.back_words == "time to get back: not known while far cannot be read"
    (loss,) = told["vms"]
    assert "if far still has its copies" in loss["loses"]
    assert loss["back"] is not None
    assert loss["back"]["seconds"] is None
    assert "no time is promised" in loss["back"]["why"]
