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
from backups.selectors.exposure import exposure
from backups.selectors.speeds import speeds
from hosts.models import VM
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
    assert loss["back"]["seconds"] is None
    vdb, vda = sorted(loss["disks"], key=lambda disk: disk["minutes"] or -1)
    assert (vdb["disk"], vdb["everything"], vdb["bytes"]) == ("vdb", True, 38 * GIB)
    assert (vda["minutes"], vda["newest"]["generation"]) == (180, kept.key)


def test_restores_come_before_readings_and_readings_before_full_backups(kept: Generation) -> None:
    GenerationDisk.objects.update(mode="full", virtual_bytes=30 * GIB, seconds=60)
    assert speeds()["far"].bytes_per_second == GIB / 2
    job("verify", kept.key, 100, 25 * GIB, level=1)
    job("verify", kept.key, 10, 10 * GIB, level=2)
    assert (speeds()["far"].source, speeds()["far"].bytes_per_second) == ("verify", GIB)
    job("restore", kept.key, 10, 5 * GIB)
    assert (speeds()["far"].source, speeds()["far"].bytes_per_second) == ("restore", GIB / 2)
    (alpha, _) = exposure(timezone.now())
    assert alpha.as_json()["back_seconds"] == 40  # vda has 20 GiB


def test_restores_that_read_only_in_part_tell_no_speed(kept: Generation) -> None:
    job("restore", kept.key, 1, 50 * GIB, in_place=True)
    job("restore", kept.key, 1, 50 * GIB, disks={"vda": kept.key, "vdb": "another"})
    assert speeds() == {}
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
