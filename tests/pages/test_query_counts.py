"""The number of queries of a page does not depend on how much there is, and does not creep up.

LABPANEL_WRITE_QUERY_COUNTS=1 writes the baseline anew.
"""

import json
import os
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from labpanel.jobs.models import Job
from tests.pages import factory
from tests.pages.lab import Lab, addresses

BASELINE = Path(__file__).with_name("query_counts.json")
PAGES = (
    *("overview", "host", "vm", "coverage", "generation", "copies", "stores", "store"),
    *("policies", "new policy", "jobs", "job", "settings"),
)


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labpanel.home.views.settings.public_key", lambda: "ssh-ed25519 AAAA panel")


def grow(lab: Lab) -> None:
    """From a few VMs to over twenty, with disks, copies, findings and jobs."""
    for number in range(20):
        host = (lab.alpha, lab.beta)[number % 2]
        vm = factory.make_vm(host, f"vm{number}", disks=3)
        factory.make_generation(vm, lab.store, timedelta(hours=number), "vda", "vdb")
        factory.make_generation(lab.home, lab.store, timedelta(days=number), "vda", "vdb")
        factory.make_finding(host, vm, lab.home, subject=f"/srv/{number}")
        Job.objects.create(kind="backup", title="Back up", subject=f"vm:{lab.home.uuid}")


def counted(client: Client, address: str) -> int:
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert client.get(address).status_code == 200
    return len(queries)


def test_counts(signed_in: Client, lab: Lab) -> None:
    where = addresses(lab)
    few = {page: counted(signed_in, where[page]) for page in PAGES}
    grow(lab)
    many = {page: counted(signed_in, where[page]) for page in PAGES}
    assert many == few
    if os.environ.get("LABPANEL_WRITE_QUERY_COUNTS"):
        BASELINE.write_text(json.dumps(few, indent=2) + "\n", encoding="utf-8")
    assert few == json.loads(BASELINE.read_text(encoding="utf-8"))
