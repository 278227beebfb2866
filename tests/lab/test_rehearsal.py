"""Generations booted in isolation on real hosts: what passes, what fails loudly, what is left."""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lab import faults, recipe
from lab.guestxml import Disk, Guest, domain_xml, path_of
from lab.layout import Host
from lab.state import Lab
from lab.virsh import define, inside, virsh
from tests.lab.conftest import Panel
from tests.lab.test_backups import folder_of, job, kill_workers, remove_vm, verdict, vm_of

pytestmark = pytest.mark.lab
Eventually = Callable[..., Any]
EMPTIED = 'the "emptied" <b>家<b> $(touch pwned)'


@pytest.fixture(scope="module")
def kept(panel: Panel) -> str:
    """A generation of the running home, kept on beta."""
    key: str = panel.json("backup", "home", "--store", "far")["generation"]
    return key


@pytest.fixture(scope="module")
def beta(lab: Lab) -> Host:
    return lab.layout.host("beta")


def begun(panel: Panel, eventually: Eventually, beta: Host, key: str) -> tuple[int, str]:
    """A rehearsal whose guest boots; the job's number and the domain's name."""
    number: int = panel.json("rehearse", key, "--no-wait")["job"]
    name = eventually(lambda: rehearsed(beta), "it boots", 90)
    return number, str(name)


def rehearsed(host: Host) -> str:
    names = virsh(host, "list", "--name").split()
    return next((name for name in names if name.startswith("labpanel-rehearsal-")), "")


def traces(host: Host) -> str:
    """What is left of any rehearsal: domains, overlays, sockets, servers."""
    look = "find /srv/images /run/libvirt /var/lib/libvirt/images -name '*labpanel-*' 2>/dev/null;"
    found: str = inside(host, ["sh", "-c", f"{look} pgrep -a qemu-nbd"], check=False).stdout
    return rehearsed(host) + found


def fingerprint(host: Host, folder: str) -> str:
    """Content, size, owner, mode and both stamps of every file of a generation."""
    look = "sha256sum ./* ; stat -c '%n %s %u %g %a %Y %Z %i' ./*"
    done: str = inside(host, ["sh", "-c", f"cd {folder} && {look}"]).stdout
    return done


@pytest.mark.timeout(400)
def test_home_boots_in_isolation_and_is_covered(
    panel: Panel, eventually: Eventually, beta: Host, kept: str
) -> None:
    folder = folder_of(panel, kept)
    before = fingerprint(beta, folder)
    number, name = begun(panel, eventually, beta, kept)

    xml = virsh(beta, "dumpxml", name)
    for trace in ("<interface", "<hostdev", "<graphics", "<filesystem", "/srv/store", "br0"):
        assert trace not in xml
    words = inside(beta, ["sh", "-c", "tr '\\0' '\\n' </proc/$(pgrep -f '[g]uest=labpan')/cmdline"])
    assert "netdev" not in words.stdout
    assert "/srv/store" not in words.stdout
    assert not any(vm["name"].startswith("labpanel") for vm in panel.json("vm", "list"))

    eventually(lambda: job(panel, number)["state"] != "running", "it is through", 200)
    ended = job(panel, number)
    assert ended["state"] == "done", ended["sentence"]
    checks = {check["what"]: check["passed"] for check in ended["result"]["checks"]}
    for what in ("Disk vda", "Disk vdb", "File system /home", "Files in /home"):
        assert checks[what] is True
    assert fingerprint(beta, folder) == before
    assert traces(beta) == ""
    panel("verify", kept)
    assert [verdict(panel, "home", disk) for disk in ("vda", "vdb")] == ["covered", "covered"]


@contextlib.contextmanager
def emptied(lab: Lab, panel: Panel, eventually: Eventually) -> Iterator[str]:
    """A VM like home whose /home holds nothing, shut off; a generation of it."""
    alpha = lab.layout.host("alpha")
    disks = (Disk("vda", "qcow2", "emptied-vda.qcow2"), Disk("vdb", "raw", "emptied-vdb.raw"))
    guest = Guest(name=EMPTIED, octet=0, memory_mib=160, disks=disks, starts=False)
    system, data = map(path_of, disks)
    inside(alpha, ["cp", str(recipe.cached() / "home-vda.qcow2"), system])
    inside(alpha, ["truncate", "-s", "32M", data])
    inside(alpha, ["mkfs.ext4", "-q", "-L", "guest-home", data])
    define(alpha, domain_xml(lab.layout, guest))
    try:
        eventually(lambda: vm_of(panel, EMPTIED), "it is seen", 60)
        yield panel.json("backup", EMPTIED, "--store", "far")["generation"]
    finally:
        remove_vm(lab, "alpha", EMPTIED)
        inside(alpha, ["rm", "-f", "--", system, data])


@pytest.mark.timeout(500)
def test_an_empty_home_and_a_missing_disk_fail_loudly(
    lab: Lab, panel: Panel, eventually: Eventually, beta: Host
) -> None:
    with emptied(lab, panel, eventually) as key:
        hollow = panel("rehearse", key, ok=False)
        assert hollow.returncode == 1
        assert "failed its rehearsal on beta. Files in /home" in hollow.stderr
        assert "/home is a file system of its own and is empty" in hollow.stderr
        assert "NO" in hollow.stdout  # the table of checks is printed all the same
        inside(beta, ["rm", f"{folder_of(panel, key)}/vdb.qcow2"])
        lacking = panel("rehearse", key, ok=False)
        assert lacking.returncode == 1
        assert "vdb" in lacking.stderr
        assert "cannot be booted" in lacking.stderr or "cannot be rehearsed" in lacking.stderr
    assert traces(beta) == ""
    assert inside(beta, ["find", "/", "-xdev", "-name", "pwned"], check=False).stdout == ""


@pytest.mark.timeout(400)
def test_a_killed_worker_leaves_nothing(
    panel: Panel, eventually: Eventually, beta: Host, kept: str
) -> None:
    """libvirt ends the domain as soon as the worker's connection is gone, before any settling."""
    number, _ = begun(panel, eventually, beta, kept)
    assert kill_workers(panel.home)
    until = time.monotonic() + 20
    while rehearsed(beta) and time.monotonic() < until:
        time.sleep(0.2)
    assert rehearsed(beta) == ""
    assert job(panel, number)["state"] == "running"  # the reaper waits for 30 s of silence
    eventually(lambda: job(panel, number)["state"] == "lost", "it is settled", 120)
    assert "nothing is left on beta" in job(panel, number)["sentence"]
    eventually(lambda: traces(beta) == "", "nothing is left", 60)


@pytest.mark.timeout(500)
def test_a_cut_cable_leaves_nothing(
    lab: Lab, panel: Panel, eventually: Eventually, beta: Host, kept: str
) -> None:
    """While the panel cannot reach it, the host itself ends what the rehearsal had begun."""
    number, _ = begun(panel, eventually, beta, kept)
    faults.cause(beta, "cable")
    try:
        eventually(lambda: traces(beta) == "", "the host ends it by itself", 120)
        eventually(lambda: job(panel, number)["state"] != "running", "the job ends", 200)
    finally:
        faults.heal(lab.layout, beta)
    assert job(panel, number)["state"] == "failed"
    shown = [one for one in panel.json("generations", "home") if one["generation"] == kept]
    assert shown[0]["rehearsed_at"]  # the way that broke is not the copy's fault


@pytest.mark.timeout(400)
def test_a_cancelled_rehearsal_on_the_other_host_is_gone(
    lab: Lab, panel: Panel, eventually: Eventually, kept: str
) -> None:
    """The store is on beta and the guest boots on alpha: its disks come through the panel."""
    alpha = lab.layout.host("alpha")
    number: int = panel.json("rehearse", kept, "--on", "alpha", "--no-wait")["job"]
    eventually(lambda: rehearsed(alpha), "it boots", 90)
    panel("job", "cancel", str(number))
    eventually(lambda: job(panel, number)["state"] == "cancelled", "it is cancelled", 60)
    assert traces(alpha) == ""
