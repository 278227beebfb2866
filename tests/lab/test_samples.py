"""Samples of real hosts and guests: they come unasked, and one way in that hangs costs no other."""

import math
import sqlite3
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lab import faults
from lab.state import Lab
from labpanel.lib.packed import unpack
from tests.lab.panels import Panel

Latest = dict[tuple[str, str, str], tuple[int, list[float]]]


def latest(panel: Panel) -> Latest:
    """(host or VM, kind, name) → (time, values) of each subject's newest sample."""
    statement = """
        SELECT coalesce(h.name, v.name), s.kind, s.name, s.latest_at, s.latest
        FROM hosts_subject s
        LEFT JOIN hosts_host h ON h.id = s.host_id LEFT JOIN hosts_vm v ON v.id = s.vm_id"""
    database = sqlite3.connect(f"file:{panel.home / 'labpanel.sqlite3'}?mode=ro", uri=True)
    try:
        rows = database.execute(statement).fetchall()
    finally:
        database.close()
    return {
        (owner, kind, name): (at, list(unpack(packed))) for owner, kind, name, at, packed in rows
    }


@pytest.fixture
def healed(lab: Lab) -> Iterator[None]:
    yield
    faults.heal(lab.layout, lab.layout.host("alpha"))


def sampled(panel: Panel, subject: tuple[str, str, str]) -> bool:
    """Whether its newest sample has a rate, which takes two turns."""
    _, values = latest(panel).get(subject, (0, [math.nan]))
    return not math.isnan(values[0])


def test_hosts_and_guests_are_sampled(panel: Panel, eventually: Callable[..., Any]) -> None:
    for subject in (
        ("alpha", "host", ""),
        ("beta", "host", ""),
        ("alpha", "host-nic", "eth0"),
        ("home", "vm", ""),
        ("web", "virtual-disk", "vda"),
    ):
        eventually(lambda subject=subject: sampled(panel, subject), f"{subject} is sampled", 90)
    found = latest(panel)
    user, system, *_ = found["alpha", "host", ""][1]
    assert 0 < user + system <= 100.1
    *_, used, available, given = found["home", "vm", ""][1]
    assert 0 < used < given
    assert 0 < available < given
    assert ("alpha", "file-system", "/srv/images") in found
    assert not [name for _, kind, name in found if kind == "host-nic" and name != "eth0"]
    # the guest's writer fsyncs a numbered line all the time
    eventually(lambda: latest(panel)["web", "virtual-disk", "vda"][1][1] > 0, "web writes", 60)


@pytest.mark.usefixtures("healed")
def test_a_hung_libvirt_costs_no_sample_of_anything_else(
    lab: Lab, panel: Panel, eventually: Callable[..., Any]
) -> None:
    eventually(lambda: sampled(panel, ("home", "vm", "")), "home is sampled", 90)
    faults.cause(lab.layout.host("alpha"), "hang")
    time.sleep(12)  # an answer that was under way may still come
    home, began = latest(panel)["home", "vm", ""][0], int(time.time())
    for host in ("alpha", "beta"):
        eventually(
            lambda host=host: latest(panel)[host, "host", ""][0] > began + 20,
            f"{host} goes on being sampled",
            60,
        )
    assert latest(panel)["home", "vm", ""][0] == home, "nothing is made up for a silent libvirt"
    faults.heal(lab.layout, lab.layout.host("alpha"))
    eventually(
        lambda: (
            latest(panel)["home", "vm", ""][0] > began + 20 and sampled(panel, ("home", "vm", ""))
        ),
        "home is sampled again, with rates",
        120,
    )
