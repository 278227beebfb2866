"""Moving real VMs between two real hosts, undisturbed and with the cable cut."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lab import faults
from lab.state import Lab
from lab.virsh import states, virsh
from tests.lab import moving
from tests.lab.panels import Panel
from tests.lab.workers import kill_long_workers

pytestmark = pytest.mark.timeout(600)
Eventually = Callable[..., Any]
WEB, RAW, QCOW2 = "web-vda.qcow2", "store-vda.raw", "store-vdb.qcow2"


@pytest.fixture(autouse=True)
def as_found(lab: Lab) -> Iterator[None]:
    """Images that moves set aside go: the room is shared by all tests."""
    yield
    for host in lab.hosts:
        lab.ssh(host, ["find", moving.IMAGES, "-name", "*.moved-*", "-delete"])


def where(panel: Panel, vm: str) -> tuple[str, str]:
    return next(
        (row["host"], row["state"]) for row in panel.json("vm", "list") if row["name"] == vm
    )


def test_web_goes_to_beta_and_back_and_no_line_is_lost(lab: Lab, panel: Panel) -> None:
    before = moving.lines(lab)
    for source, target in (("alpha", "beta"), ("beta", "alpha")):
        moved = panel.json("move", "web", "--to", target)
        assert (moved["from"], moved["to"], moved["way"]) == (source, target, "live")
        assert moved["downtime_ms"] > 0
        assert moving.running(lab, "web") == [target]
        assert where(panel, "web") == (target, "running")
        assert {row["host"] for row in panel.json("coverage") if row["vm"] == "web"} == {target}
        assert moving.files(lab, source, WEB) == []
        assert len(moving.files(lab, source, f"{WEB}.moved-*")) == 1
    after = moving.lines(lab)
    assert after == list(range(1, len(after) + 1))
    assert len(after) > len(before)


def test_a_paused_vm_stays_paused_and_its_disk_arrives_whole(lab: Lab, panel: Panel) -> None:
    """Nothing writes while it is paused, so the mirrored disk must equal the one left behind."""
    virsh(lab.layout.host("alpha"), "suspend", "web")
    try:
        moved = panel.json("move", "web", "--to", "beta")
        assert (moved["way"], moved["downtime_ms"]) == ("live", None)
        assert states(lab.layout.host("beta"))["web"] == "paused"
        assert "web" not in states(lab.layout.host("alpha"))
        (kept,) = moving.files(lab, "alpha", f"{WEB}.moved-*")
        there = f"{moving.IMAGES}/{WEB}"
        assert moving.digest(lab, "alpha", kept) == moving.digest(lab, "beta", there)
    finally:
        for name in lab.hosts:
            virsh(lab.layout.host(name), "resume", "web", check=False)
    panel("move", "web", "--to", "alpha")
    assert moving.running(lab, "web") == ["alpha"]


def test_store_goes_cold_and_both_disks_are_equal(lab: Lab, panel: Panel) -> None:
    moved = panel.json("move", "store", "--to", "beta")
    assert (moved["way"], moved["verified"], moved["downtime_ms"]) == ("cold", True, None)
    for name, form in ((RAW, "raw"), (QCOW2, "qcow2")):
        (kept,) = moving.files(lab, "alpha", f"{name}.moved-*")
        there = f"{moving.IMAGES}/{name}"
        assert moving.digest(lab, "alpha", kept) == moving.digest(lab, "beta", there)
        assert moving.image_format(lab, "beta", there) == form
    assert "store" not in states(lab.layout.host("alpha"))
    assert where(panel, "store") == ("beta", "shut off")
    assert panel.json("move", "store")["to"] == "alpha"
    assert where(panel, "store") == ("alpha", "shut off")


def test_an_existing_file_is_never_written_over(lab: Lab, panel: Panel) -> None:
    path = f"{moving.IMAGES}/{WEB}"
    lab.ssh("beta", ["sh", "-c", f"echo precious > {path}"])
    try:
        refused = panel("move", "web", "--to", "beta", ok=False)
        assert refused.returncode == 1
        assert f"{path} exists already on beta" in refused.stderr
        assert lab.ssh("beta", ["cat", path]).stdout == "precious\n"
    finally:
        lab.ssh("beta", ["rm", path])
    assert moving.running(lab, "web") == ["alpha"]


def test_a_host_without_room_is_refused_with_the_numbers(lab: Lab, panel: Panel) -> None:
    beta = lab.layout.host("beta")
    faults.cause(beta, "fill", "images")
    try:
        refused = panel("move", "web", "--to", "beta", "--plan", "--json", ok=False)
        plan = json.loads(refused.stdout)
    finally:
        faults.heal(lab.layout, beta)
    assert refused.returncode == 1
    assert not plan["possible"]
    assert any(f"{moving.IMAGES} on beta has 0 MiB free" in said for said in plan["obstacles"])


@pytest.mark.parametrize("cut", ["beta", "alpha"])
def test_the_cable_cut_in_the_middle_leaves_exactly_one(
    lab: Lab, panel: Panel, eventually: Eventually, cut: str
) -> None:
    host, beta = lab.layout.host(cut), lab.layout.host("beta")
    with moving.slow(beta):
        move = panel.start("move", "web", "--to", "beta")
        try:
            eventually(lambda: moving.files(lab, "beta", WEB), "the copy has begun", 60)
            faults.cause(host, "cable")
            _, said = move.communicate(timeout=240)
            assert move.returncode == 1, said
            assert moving.running(lab, "web") == ["alpha"]
            last = panel.json("jobs")[0]
            assert "alpha" in last["sentence"]
        finally:
            move.kill()
            move.communicate()
            faults.heal(lab.layout, host)
    eventually(
        lambda: not lab.ssh("beta", ["find", moving.IMAGES, "-name", WEB]).stdout,
        "what was begun on beta is gone",
        120,
    )
    assert moving.running(lab, "web") == ["alpha"]
    eventually(lambda: where(panel, "web") == ("alpha", "running"), "web is seen on alpha", 60)


def test_a_killed_worker_is_settled_by_asking_the_hosts(
    lab: Lab, panel: Panel, eventually: Eventually
) -> None:
    with moving.slow(lab.layout.host("beta")):
        job = panel.json("move", "web", "--to", "beta", "--no-wait")["job"]
        eventually(lambda: moving.files(lab, "beta", WEB), "the copy has begun", 60)
        assert kill_long_workers(panel) >= 1
        eventually(
            lambda: panel.json("job", "show", str(job))["state"] == "lost", "it is settled", 120
        )
    (host,) = moving.running(lab, "web")
    assert host in panel.json("job", "show", str(job))["sentence"]
    eventually(lambda: where(panel, "web") == (host, "running"), "web is seen there", 60)
    if host == "beta":
        panel("move", "web", "--to", "alpha")
    else:
        assert moving.files(lab, "beta", WEB) == []
    panel.json("move", "web", "--to", "beta")  # nothing of it stands in the way
    panel.json("move", "web", "--to", "alpha")
