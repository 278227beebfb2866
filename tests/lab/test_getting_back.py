"""Getting back on two real hosts: mixed generations, in place, at once, killed in the middle."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lab import faults
from lab.agent import exec_in_guest
from lab.state import Lab
from lab.tree import manifest
from lab.virsh import inside, states, virsh
from tests.lab.conftest import Panel, supervise
from tests.lab.moving import kill_long_workers, slow

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]
Eventually = Callable[..., Any]
IMAGES = "/srv/images"
MIB = 1 << 20


def in_home(lab: Lab, script: str, host: str = "alpha", vm: str = "home") -> str:
    done = exec_in_guest(lab, host, vm, ["/bin/sh", "-c", script])
    assert done.returncode == 0, done.stderr
    return done.stdout.decode()


def remove_vm(lab: Lab, host: str, name: str) -> None:
    """A VM that a test made, with its disks."""
    layout = lab.layout.host(host)
    disks = virsh(layout, "domblklist", "--details", name, check=False)
    virsh(layout, "destroy", name, check=False)
    virsh(layout, "undefine", name, "--checkpoints-metadata", check=False)
    paths = [line.split(None, 3)[3] for line in disks.splitlines() if " disk " in line]
    inside(layout, ["rm", "-f", "--", *paths])


def answering(lab: Lab, host: str, name: str) -> bool:
    try:
        return exec_in_guest(lab, host, name, ["/bin/true"]).returncode == 0
    except Exception:  # noqa: BLE001 - it still boots; the caller's deadline says when it is too late
        return False


@pytest.fixture(scope="module")
def weeks(lab: Lab, panel: Panel) -> Iterator[tuple[str, str, list[dict[str, Any]]]]:
    """Two generations of home: in the first both disks have a mark of week one, in the second of
    week two; and what /home (on vdb) held in week two."""
    alpha = lab.layout.host("alpha")
    in_home(lab, "echo one > /var/week; echo one > /home/week; sync")
    first = panel.json("backup", "home", "--store", "far")["generation"]
    in_home(lab, "echo two > /var/week; echo two > /home/week; sync")
    before = manifest(alpha, "home", "/home")
    second = panel.json("backup", "home", "--store", "far")["generation"]
    yield first, second, before
    in_home(lab, "rm -f /var/week /home/week; sync")


def leftovers(lab: Lab) -> list[str]:
    """Half-made images, exports and their folders on any host."""
    found = []
    for host in lab.hosts.values():
        layout = lab.layout.host(host.name)
        found += inside(layout, ["find", IMAGES, "-name", ".labpanel-*"]).stdout.split()
        look = ["sh", "-c", "ls -d /run/labpanel-lend-* /run/libvirt/labpanel-* 2>/dev/null; true"]
        found += inside(layout, look).stdout.split()
    return found


def test_disks_of_two_weeks_come_back_together(
    lab: Lab,
    panel: Panel,
    eventually: Eventually,
    weeks: tuple[str, str, list[dict[str, Any]]],
) -> None:
    first, second, before = weeks
    words = ["--to", "beta", "--name", "mixed", "--disk", f"vda={first}", "--start"]
    made = panel.json("restore", second, *words)
    try:
        assert {disk["target"]: disk["from"] for disk in made["disks"]} == {
            "vda": first,
            "vdb": second,
        }
        assert made["bytes"] > 0
        assert made["seconds"] > 0
        eventually(lambda: answering(lab, "beta", "mixed"), "the mixed VM answers", 90)
        assert in_home(lab, "cat /var/week", "beta", "mixed") == "one\n"
        assert manifest(lab.layout.host("beta"), "mixed", "/home") == before
    finally:
        remove_vm(lab, "beta", "mixed")


def test_only_one_disk_and_the_rest_is_left_out(
    lab: Lab, panel: Panel, weeks: tuple[str, str, list[dict[str, Any]]]
) -> None:
    words = ["--to", "beta", "--name", "part", "--only", "--disk", "vdb"]
    made = panel.json("restore", weeks[0], *words)
    try:
        assert [disk["target"] for disk in made["disks"]] == ["vdb"]
        listed = virsh(lab.layout.host("beta"), "domblklist", "part")
        assert "vdb" in listed
        assert "vda" not in listed
    finally:
        remove_vm(lab, "beta", "part")


def shut(lab: Lab, panel: Panel, eventually: Eventually, name: str) -> None:
    virsh(lab.layout.host("alpha"), "destroy", name)

    def seen() -> bool:
        return (
            next(vm for vm in panel.json("vm", "list") if vm["name"] == name)["state"] == "shut off"
        )

    eventually(seen, f"{name} is seen shut off")


def booted(lab: Lab, eventually: Eventually, name: str) -> None:
    if states(lab.layout.host("alpha"))[name] != "running":
        virsh(lab.layout.host("alpha"), "start", name)
    eventually(lambda: answering(lab, "alpha", name), f"{name} answers again", 90)


def asides(lab: Lab) -> list[str]:
    layout = lab.layout.host("alpha")
    return sorted(inside(layout, ["find", IMAGES, "-name", "*.replaced-*"]).stdout.split())


def test_in_place_only_the_changed_blocks_cross_and_the_old_is_kept(
    lab: Lab,
    panel: Panel,
    eventually: Eventually,
    weeks: tuple[str, str, list[dict[str, Any]]],
) -> None:
    alpha = lab.layout.host("alpha")
    refused = panel("restore", weeks[1], "--in-place", ok=False)
    assert refused.returncode == 1
    assert "home is running; shut it down first" in refused.stderr
    in_home(lab, "echo three > /home/week; head -c 1M /dev/urandom > /home/new; sync")
    try:
        done = panel.json("restore", weeks[1], "--in-place", "--shut-down", "--start")
        assert 0 < done["bytes"] < 24 * MIB
        assert sorted(done["kept_aside"]) == asides(lab)
        assert virsh(alpha, "checkpoint-list", "home", "--name").strip() == ""
        eventually(lambda: answering(lab, "alpha", "home"), "home answers again", 90)
        assert manifest(alpha, "home", "/home") == weeks[2]
        again = panel.json("backup", "home", "--store", "far")
        assert {disk["mode"] for disk in again["disks"]} == {"full read"}
        assert sum(disk["written_bytes"] for disk in again["disks"]) < 24 * MIB
    finally:
        for path in asides(lab):
            inside(alpha, ["rm", path])
    assert leftovers(lab) == []


def test_killed_in_place_the_vm_has_its_old_disks_or_its_new_ones(
    lab: Lab,
    panel: Panel,
    eventually: Eventually,
    weeks: tuple[str, str, list[dict[str, Any]]],
) -> None:
    alpha = lab.layout.host("alpha")
    in_home(lab, "head -c 24M /dev/urandom > /home/later; sync")
    shut(lab, panel, eventually, "home")
    before = inside(alpha, ["sh", "-c", f"ls -i {IMAGES}/home-*.qcow2"]).stdout
    try:
        number = panel.json("restore", weeks[1], "--in-place", "--no-wait")["job"]
        eventually(lambda: leftovers(lab), "new images are being made", 60)
        assert kill_long_workers(panel) >= 1
        eventually(
            lambda: panel.json("job", "show", str(number))["state"] == "lost", "it is settled", 120
        )
        said = panel.json("job", "show", str(number))["sentence"]
        now = inside(alpha, ["sh", "-c", f"ls -i {IMAGES}/home-*.qcow2"]).stdout
        assert ("is as it was" in said) == (now == before)
        assert leftovers(lab) == []
        assert panel.json("restore", weeks[1], "--in-place")["bytes"] >= 0
    finally:
        booted(lab, eventually, "home")
        for path in asides(lab):
            inside(alpha, ["rm", path])
    assert manifest(alpha, "home", "/home") == weeks[2]


def local(panel: Panel, name: str) -> dict[str, Any] | None:
    return next((one for one in panel.json("instants") if one["vm"] == name), None)


def test_at_once_it_survives_the_panel_and_ends_on_its_own(
    lab: Lab,
    panel: Panel,
    eventually: Eventually,
    weeks: tuple[str, str, list[dict[str, Any]]],
) -> None:
    beta = lab.layout.host("beta")
    panel("store", "add", "close", "--host", "alpha", "/srv/store")
    key = panel.json("backup", "home", "--store", "close")["generation"]
    words = ["--to", "beta", "--name", "quick", "--instant", "--cap", "1"]
    made = panel.json("restore", key, *words)
    try:
        assert made["started"] is True
        assert states(beta)["quick"] == "running"
        first = local(panel, "quick")
        assert first is not None
        assert first["local_bytes"] < first["total_bytes"]
        supervise(panel.home, "down")
        assert states(beta)["quick"] == "running"
        up = supervise(panel.home, "up", "--detach")
        assert up.returncode == 0, up.stderr
        eventually(lambda: answering(lab, "beta", "quick"), "it answers", 240)
        for disk in ("vda", "vdb"):
            virsh(beta, "blockjob", "quick", disk, "--bandwidth", "1000", check=False)
        eventually(lambda: local(panel, "quick") is None, "every block is local", 180)
        assert "nbd" not in virsh(beta, "dumpxml", "quick")
        clean = virsh(beta, "dumpxml", "quick", "--inactive")
        assert "nbd" not in clean
        assert "error_policy" not in clean
        for disk in made["disks"]:
            info = inside(beta, ["qemu-img", "info", "-U", disk["path"]]).stdout
            assert "backing" not in info
        assert leftovers(lab) == []
        assert manifest(beta, "quick", "/home") == manifest(
            lab.layout.host("alpha"), "home", "/home"
        )
    finally:
        remove_vm(lab, "beta", "quick")


def test_at_once_a_store_that_goes_away_is_said_and_waited_for(
    lab: Lab,
    panel: Panel,
    eventually: Eventually,
    weeks: tuple[str, str, list[dict[str, Any]]],
) -> None:
    alpha, beta = lab.layout.host("alpha"), lab.layout.host("beta")
    words = ["--to", "alpha", "--name", "waiting", "--instant", "--cap", "1"]
    panel.json("restore", weeks[1], *words)
    try:
        eventually(lambda: answering(lab, "alpha", "waiting"), "it answers", 120)
        faults.cause(beta, "cable")
        eventually(lambda: (local(panel, "waiting") or {"error": ""})["error"], "it is said", 90)
        assert states(alpha)["waiting"] == "running"
        faults.heal(lab.layout, beta)
        eventually(lambda: not (local(panel, "waiting") or {"error": ""})["error"], "it is back")
        for disk in ("vda", "vdb"):
            virsh(alpha, "blockjob", "waiting", disk, "--bandwidth", "1000", check=False)
        eventually(lambda: local(panel, "waiting") is None, "every block is local", 180)
        assert manifest(alpha, "waiting", "/home") == weeks[2]
        assert leftovers(lab) == []
    finally:
        faults.heal(lab.layout, beta)
        remove_vm(lab, "alpha", "waiting")


def test_killed_before_it_ran_nothing_of_it_is_left(
    lab: Lab,
    panel: Panel,
    eventually: Eventually,
    weeks: tuple[str, str, list[dict[str, Any]]],
) -> None:
    with slow(lab.layout.host("beta")):
        words = ["--to", "beta", "--name", "never", "--instant", "--no-wait"]
        number = panel.json("restore", weeks[1], *words)["job"]
        eventually(lambda: leftovers(lab), "something is lent", 60)
        kill_long_workers(panel)
    eventually(
        lambda: panel.json("job", "show", str(number))["state"] != "running", "it is settled", 120
    )
    if "never" in states(lab.layout.host("beta")):
        remove_vm(lab, "beta", "never")
    eventually(lambda: local(panel, "never") is None, "its row is gone", 60)
    assert leftovers(lab) == []
