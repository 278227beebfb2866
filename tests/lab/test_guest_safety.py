"""Whatever happens in the middle of a backup, the guest goes on and nothing is left behind."""

import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lab import baddisk, faults, namespace
from lab.state import Lab
from lab.virsh import inside, virsh
from tests.lab import cramped
from tests.lab.conftest import Panel
from tests.lab.moving import kill_long_workers, slow

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]
Eventually = Callable[..., Any]


@pytest.fixture(scope="module")
def vm(lab: Lab, panel: Panel) -> Iterator[str]:
    with cramped.made(lab):
        yield cramped.NAME


@pytest.fixture
def seen(lab: Lab, panel: Panel, vm: str, eventually: Eventually) -> Iterator[str]:
    """The VM runs, the panel knows it, and nothing of an earlier test is under way."""
    cramped.start(lab)
    eventually(lambda: vm in [row["name"] for row in panel.json("vm", "list")], "it is seen")
    yield vm
    cramped.answers(lab, "touch /tmp/enough")
    left = virsh(lab.layout.host("alpha"), "domjobinfo", vm, check=False)
    assert "None" in left or not left
    assert cramped.scratch_files(lab) == []


def begun(panel: Panel, eventually: Eventually, vm: str) -> int:
    """A backup that is copying; its job's number."""
    number: int = panel.json("backup", vm, "--store", "far", "--no-wait")["job"]
    eventually(lambda: "vda" in (job(panel, number)["phase"] or ""), "it copies", 60)
    return number


def job(panel: Panel, number: int) -> Any:
    return panel.json("job", "show", str(number))


def ended(panel: Panel, eventually: Eventually, number: int, seconds: float = 90) -> Any:
    active = {"waiting", "running"}
    eventually(lambda: job(panel, number)["state"] not in active, "the job ends", seconds)
    return job(panel, number)


def checkpoints(lab: Lab, vm: str) -> list[str]:
    return virsh(lab.layout.host("alpha"), "checkpoint-list", vm, "--name").split()


def restart_libvirtd(lab: Lab) -> None:
    """By SIGKILL; the host's first process starts it again."""
    for process in namespace.named(lab.layout.host("alpha"), "libvirtd"):
        process.send(signal.SIGKILL)


def test_a_guest_that_overwrites_more_than_is_reserved_ends_the_backup_not_its_writes(
    lab: Lab, panel: Panel, eventually: Eventually, seen: str
) -> None:
    before, kept = panel.json("generations", seen), checkpoints(lab, seen)
    with slow(lab.layout.host("beta")):
        number = begun(panel, eventually, seen)
        cramped.overwrite(lab)
        done = ended(panel, eventually, number)
    assert done["state"] == "failed"
    assert "80 % of the room reserved for it in /srv/cramped" in done["sentence"]
    cramped.goes_on(lab)
    assert "running" in virsh(lab.layout.host("alpha"), "domstate", seen)
    assert panel.json("generations", seen) == before
    assert checkpoints(lab, seen) == kept


def test_a_file_system_that_fills_up_stops_the_backup_and_the_guest_goes_on(
    lab: Lab, panel: Panel, eventually: Eventually, seen: str
) -> None:
    """What is left of the room would be gone within a second of the guest's writing."""
    try:
        with slow(lab.layout.host("beta")):
            number = begun(panel, eventually, seen)
            cramped.take_room(lab)
            cramped.overwrite(lab)
            done = ended(panel, eventually, number)
        assert done["state"] == "failed"
        assert "ran low" in done["sentence"]
        cramped.goes_on(lab)
    finally:
        cramped.give_room_back(lab)


def test_a_killed_panel_leaves_no_open_backup_behind(
    lab: Lab, panel: Panel, eventually: Eventually, seen: str
) -> None:
    """The guard on the host ends it at once, long before anybody has settled the job."""
    alpha = lab.layout.host("alpha")
    with slow(lab.layout.host("beta")):
        number = begun(panel, eventually, seen)
        assert kill_long_workers(panel)
        eventually(lambda: "None" in virsh(alpha, "domjobinfo", seen), "the host ended it", 20)
        assert job(panel, number)["state"] == "running"
    assert cramped.run(lab, "echo x > /alive && sync && echo written") == "written\n"
    lost = ended(panel, eventually, number, 150)
    assert lost["state"] == "lost"
    assert checkpoints(lab, seen) == []
    eventually(lambda: cramped.scratch_files(lab) == [], "the scratch files are gone", 60)


def test_a_guest_that_is_shut_off_in_the_middle_is_said_so(
    lab: Lab, panel: Panel, eventually: Eventually, seen: str
) -> None:
    with slow(lab.layout.host("beta")):
        number = begun(panel, eventually, seen)
        virsh(lab.layout.host("alpha"), "destroy", seen)
        done = ended(panel, eventually, number)
    assert done["state"] == "failed"
    assert f"{seen} was shut off in the middle of its backup" in done["sentence"]


def test_a_guest_that_reboots_in_the_middle_is_kept(
    lab: Lab, panel: Panel, eventually: Eventually, seen: str
) -> None:
    with slow(lab.layout.host("beta")):
        number = begun(panel, eventually, seen)
        domain, boots = virsh(lab.layout.host("alpha"), "domid", seen), cramped.boots(lab)
        cramped.run(lab, "(sleep 5; reboot -f) >/dev/null 2>&1 &")
        eventually(lambda: cramped.boots(lab) > boots, "it has rebooted", 90)
        assert job(panel, number)["state"] == "running"
    done = ended(panel, eventually, number)
    assert done["state"] == "done", done["sentence"]
    assert virsh(lab.layout.host("alpha"), "domid", seen) == domain
    assert len(checkpoints(lab, seen)) == 1
    # libvirt 9.0 may take an agent that was in the middle of an answer for lost from now on.
    restart_libvirtd(lab)


def test_a_libvirtd_that_restarts_in_the_middle_costs_nothing(
    lab: Lab, panel: Panel, eventually: Eventually, seen: str
) -> None:
    cramped.run(lab, "dd if=/dev/urandom of=/data-of-the-guest bs=1M count=40 conv=notrunc && sync")
    with slow(lab.layout.host("beta")):
        number = begun(panel, eventually, seen)
        restart_libvirtd(lab)
    done = ended(panel, eventually, number)
    assert done["state"] == "done", done["sentence"]
    assert len(checkpoints(lab, seen)) == 1


def test_an_agent_that_never_answers_costs_the_freeze_only(
    lab: Lab, panel: Panel, seen: str
) -> None:
    """The agent's process is stopped; it goes on by itself when all is over."""
    stop = "kill -STOP $pid; sleep 45; kill -CONT $pid"
    cramped.run(lab, f"pid=$(pidof qemu-ga); (sleep 1; {stop}) >/dev/null 2>&1 &")
    inside(lab.layout.host("alpha"), ["sleep", "2"])
    kept = panel.json("backup", seen, "--store", "far")
    assert kept["consistency"] == "crash-consistent"
    cramped.start(lab)
    assert cramped.run(lab, "echo x > /alive && sync && echo thawed") == "thawed\n"


def test_a_store_that_is_full_is_named(lab: Lab, panel: Panel, seen: str) -> None:
    beta = lab.layout.host("beta")
    before, kept = panel.json("generations", seen), checkpoints(lab, seen)
    cramped.run(lab, "dd if=/dev/urandom of=/data-of-the-guest bs=1M count=20 conv=notrunc && sync")
    try:
        faults.cause(beta, "fill", "store")
        refused = panel("backup", seen, "--store", "far", ok=False)
    finally:
        faults.heal(lab.layout, beta)
    assert refused.returncode == 1
    assert "The store far (/srv/store on beta) is full" in refused.stderr
    assert panel.json("generations", seen) == before
    assert checkpoints(lab, seen) == kept


def test_a_source_that_cannot_be_read_is_named_byte_for_byte(
    lab: Lab, panel: Panel, eventually: Eventually, seen: str
) -> None:
    """A real I/O error under the running guest: what can be read is kept, marked, beside."""
    alpha, at = lab.layout.host("alpha"), 5 * 1024 * 1024 + baddisk.PAGE
    before = panel.json("generations", seen)
    with baddisk.unreadable(alpha, "/srv/images/bad.raw", 8, at) as image:
        virsh(alpha, "attach-disk", seen, image, "vdy", "--subdriver", "raw", "--live")
        try:
            refused = panel("backup", seen, "--store", "far", ok=False)
        finally:
            virsh(alpha, "detach-disk", seen, "vdy", "--live")
            eventually(lambda: "vdy" not in virsh(alpha, "domblklist", seen), "it is out", 30)
    assert refused.returncode == 1
    assert f"vdy at bytes {at}–{at + baddisk.PAGE - 1}" in refused.stderr
    after = panel.json("generations", seen)
    assert [row for row in after if row["state"] == "damaged"]
    assert [row["generation"] for row in before if row["state"] == "complete"] == [
        row["generation"] for row in after if row["state"] == "complete"
    ]
    assert "running" in virsh(alpha, "domstate", seen)
