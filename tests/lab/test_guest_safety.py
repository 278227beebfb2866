"""Whatever happens in the middle of a backup, the guest goes on and nothing is left behind."""

import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import baddisk, faults, namespace
from lab.state import Lab
from lab.virsh import inside, virsh
from tests.lab import cramped
from tests.lab.asking import copying, incidents_of, job
from tests.lab.moving import slow
from tests.lab.panels import Panel
from tests.lab.workers import kill_long_workers

pytestmark = pytest.mark.timeout(900)
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
        number = copying(panel, eventually, seen, "vda")
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
            number = copying(panel, eventually, seen, "vda")
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
        number = copying(panel, eventually, seen, "vda")
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
        number = copying(panel, eventually, seen, "vda")
        virsh(lab.layout.host("alpha"), "destroy", seen)
        done = ended(panel, eventually, number)
    assert done["state"] == "failed"
    assert f"{seen} was shut off during its backup" in done["sentence"]


def test_a_guest_that_reboots_in_the_middle_is_kept(
    lab: Lab, panel: Panel, eventually: Eventually, seen: str
) -> None:
    with slow(lab.layout.host("beta")):
        number = copying(panel, eventually, seen, "vda")
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
        number = copying(panel, eventually, seen, "vda")
        restart_libvirtd(lab)
    done = ended(panel, eventually, number)
    assert done["state"] == "done", done["sentence"]
    assert len(checkpoints(lab, seen)) == 1


def test_an_agent_that_never_answers_costs_the_freeze_only(
    lab: Lab, panel: Panel, seen: str
) -> None:
    """The agent's process is stopped; it goes on when all is over."""
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
    (found,) = incidents_of(panel, "image-error")
    assert found["title"].startswith(
        f"alpha could not read bytes {at}–{at + baddisk.PAGE - 1} of /srv/images/bad.raw "
    )
    assert (found["severity"], found["host"]) == ("bad", "alpha")
    assert seen in [each["vm"] for each in found["affected"]]
    assert incidents_of(panel, "backup-failed")[0]["vm"] == seen
    assert seen in [row["vm"] for row in panel.json("hold")]
    plan = panel("move", seen, "--to", "beta", "--plan", ok=False).stdout
    assert "Restore the newest generation instead" in plan
    panel("seen", str(found["id"]))
    panel("release", seen)
    assert incidents_of(panel, "image-error") == []
    after = panel.json("generations", seen)
    assert [row for row in after if row["state"] == "damaged"]
    assert [row["generation"] for row in before if row["state"] == "complete"] == [
        row["generation"] for row in after if row["state"] == "complete"
    ]
    assert "running" in virsh(alpha, "domstate", seen)


def test_a_crash_is_told_from_an_end_that_was_asked_for(
    lab: Lab, panel: Panel, eventually: Eventually, seen: str
) -> None:
    alpha = lab.layout.host("alpha")
    faults.cause(alpha, "kill-qemu", seen)
    found = eventually(lambda: incidents_of(panel, "vm-crashed"), "the crash is an incident", 60)
    assert found[0]["title"].startswith(f"{seen} crashed on alpha at ")
    assert found[0]["acts"] == ["start", "acknowledge"]
    assert [each["vm"] for each in found[0]["affected"]] == [seen]
    restart_libvirtd(lab)  # it forgets why the VM is off
    inside(alpha, ["sleep", "20"])
    assert incidents_of(panel, "vm-crashed", "vm-off")[0]["id"] == found[0]["id"]
    panel("vm", "start", seen)
    assert incidents_of(panel, "vm-crashed", "vm-off") == []
    virsh(alpha, "destroy", seen)
    off = [seen, "shut off"]
    eventually(
        lambda: off in [[row["name"], row["state"]] for row in panel.json("vm", "list")],
        "it is seen off",
    )
    assert incidents_of(panel, "vm-crashed", "vm-off") == []


def test_a_pause_by_a_full_disk_stands_until_it_is_resumed(
    lab: Lab, panel: Panel, eventually: Eventually, seen: str
) -> None:
    alpha = lab.layout.host("alpha")
    try:
        faults.fill_folder(alpha, cramped.ROOM)
        write = "sleep 3; dd if=/dev/urandom of=/new bs=1M count=64; sync"
        cramped.run(lab, f"({write}) >/dev/null 2>&1 &")
        found = eventually(lambda: incidents_of(panel, "vm-paused"), "the pause is an incident", 90)
        assert f"{seen} is paused on alpha: its disk vda found no room" in found[0]["title"]
        assert found[0]["acts"] == ["resume"]
        still = panel("vm", "resume", seen, ok=False)
        assert "is paused again (I/O error)" in still.stderr
    finally:
        cramped.give_room_back(lab)
    inside(alpha, ["sleep", "20"])
    assert [row["id"] for row in incidents_of(panel, "vm-paused")] == [found[0]["id"]]
    assert f"{seen} goes on" in panel("vm", "resume", seen).stdout
    assert incidents_of(panel, "vm-paused") == []
    eventually(lambda: cramped.answers(lab, "true"), "the guest goes on", 60)
    cramped.run(lab, "sync; rm -f /new; ! dmesg | grep -iE 'I/O error|remount'")


def asides(lab: Lab) -> str:
    """Folders that were made on alpha for what a backup writes aside."""
    words = ["find", "/srv", "/var/tmp", "-maxdepth", "3", "-name", ".lp*"]
    return inside(lab.layout.host("alpha"), words, check=False).stdout


def kept_whole(panel: Panel, eventually: Eventually, seen: str) -> Any:
    """A backup that is begun now ends well and reads back equal; its job."""
    number = panel.json("backup", seen, "--store", "far", "--no-wait")["job"]
    done = ended(panel, eventually, number)
    assert done["state"] == "done", done["sentence"]
    key = done["result"]["generation"]
    assert panel.json("verify", key, "--level", "2")["verified"] is True
    return done


def test_where_there_is_no_room_beside_the_images_another_file_system_takes_it(
    lab: Lab, panel: Panel, eventually: Eventually, seen: str
) -> None:
    """The guest overwrites its data meanwhile, as it does when there is room."""
    cramped.take_room(lab)
    try:
        with slow(lab.layout.host("beta")):
            number = copying(panel, eventually, seen, "vda")
            assert ".lp" in asides(lab)
            cramped.overwrite(lab)
            panel("job", "cancel", str(number))
            assert ended(panel, eventually, number)["state"] == "cancelled"
        cramped.goes_on(lab)
        assert asides(lab) == ""
        kept_whole(panel, eventually, seen)
    finally:
        cramped.give_room_back(lab)
    assert asides(lab) == ""


def test_a_source_that_takes_no_writes_is_saved_all_the_same(
    lab: Lab, panel: Panel, eventually: Eventually, seen: str
) -> None:
    """The last test here: the file system stays read-only until the VM is removed with it."""
    alpha = lab.layout.host("alpha")
    cramped.run(lab, "echo newest > /newest && sync")
    inside(alpha, ["mount", "-o", "remount,errors=remount-ro", cramped.ROOM])
    device = inside(alpha, ["findmnt", "-no", "SOURCE", cramped.ROOM]).stdout.strip()
    Path("/sys/fs/ext4", Path(device).name, "trigger_fs_error").write_text("a test\n")
    refused = inside(alpha, ["touch", f"{cramped.ROOM}/x"], check=False)
    assert "Read-only file system" in refused.stderr
    kept_whole(panel, eventually, seen)
    assert "running" in virsh(alpha, "domstate", seen)
    assert asides(lab) == ""


def test_a_guest_that_reboots_again_and_again_is_told(
    lab: Lab, panel: Panel, eventually: Eventually, seen: str
) -> None:
    """Its QEMU stays the same: only libvirt's events tell."""
    alpha = lab.layout.host("alpha")
    run = virsh(alpha, "domid", seen)
    for _ in range(3):
        virsh(alpha, "reset", seen)
        inside(alpha, ["sleep", "4"])
    found = eventually(lambda: incidents_of(panel, "vm-restarts"), "the reboots are told", 60)
    # Other tests of this file may have started it anew within the same ten minutes.
    told = rf"{seen} on alpha restarts again and again: ([3-9]|10) times within 10 minutes"
    assert re.match(told, found[0]["title"]), found[0]["title"]
    assert virsh(alpha, "domid", seen) == run
    panel("seen", str(found[0]["id"]))
    assert incidents_of(panel, "vm-restarts") == []
