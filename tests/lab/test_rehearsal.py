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
from tests.lab.asking import folder_of, job, verdict, vm_of
from tests.lab.panels import Panel
from tests.lab.rehearsed import fingerprint, rehearsed, traces
from tests.lab.vms import answering, remove_vm
from tests.lab.workers import kill_long_workers

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


BOOT = "/srv/images/boot of direct"
DIRECT = (
    f"<kernel>{BOOT}/vmlinuz</kernel><initrd>{BOOT}/initrd.img</initrd>"
    "<cmdline>console=tty0 console=ttyS0,115200 quiet</cmdline>"
)
TPM = "<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>"
STATE = "/var/lib/libvirt/swtpm/{uuid}/tpm2/tpm2-00.permall"


@contextlib.contextmanager
def direct(lab: Lab) -> Iterator[str]:
    """A running VM on alpha with a TPM that starts a kernel of its host, and no other: its disk
    has no boot code."""
    alpha = lab.layout.host("alpha")
    disk = Disk("vda", "raw", "direct-vda.raw")
    guest = Guest(name="direct", octet=0, memory_mib=160, disks=(disk,), starts=True)
    image = path_of(disk)
    inside(alpha, ["cp", "--sparse=always", str(recipe.cached() / "store-vda.raw"), image])
    inside(alpha, ["mkdir", "-p", BOOT])
    for name, file in (("vmlinuz", "vmlinuz"), ("initramfs", "initrd.img")):
        dump = f'dump /boot/{name} "{BOOT}/{file}"'
        inside(alpha, ["debugfs", "-R", dump, f"{image}?offset=1048576"])
    inside(alpha, ["dd", "if=/dev/zero", f"of={image}", "bs=440", "count=1", "conv=notrunc"])
    xml = domain_xml(lab.layout, guest).replace("<boot dev='hd'/>", DIRECT)
    define(alpha, xml.replace("</devices>", f"{TPM}</devices>"))
    try:
        virsh(alpha, "start", "direct")
        yield virsh(alpha, "domuuid", "direct").strip()
    finally:
        for host, name in (("alpha", "direct"), ("beta", "direct-copy")):
            remove_vm(lab, host, name)
            machine = lab.layout.host(host)
            inside(machine, ["sh", "-c", f"rm -rf '{BOOT}' /var/lib/libvirt/swtpm/*"])
            logs = "/var/log/swtpm/libvirt/qemu/direct*"  # the machine's own: a host has none
            inside(machine, ["sh", "-c", f"rm -f /srv/images/direct* {logs}"])


@pytest.mark.timeout(500)
def test_a_direct_boot_with_a_tpm_is_rehearsed_and_comes_back_to_a_host_without_either(
    lab: Lab, panel: Panel, eventually: Eventually, beta: Host
) -> None:
    alpha = lab.layout.host("alpha")
    with direct(lab) as uuid:
        eventually(lambda: answering(lab, "alpha", "direct"), "it runs", 90)
        eventually(lambda: vm_of(panel, "direct"), "it is seen", 60)
        first = panel.json("backup", "direct", "--store", "far")["generation"]
        key = panel.json("backup", "direct", "--store", "far")["generation"]
        places = [folder_of(panel, one) for one in (first, key)]
        names = ("kernel", "initrd", "tpm2-00.permall")
        numbers = [
            inside(beta, ["stat", "-c", "%i", *(f"{place}/{name}" for name in names)]).stdout
            for place in places
        ]
        assert numbers[0].split()[:2] == numbers[1].split()[:2]  # kept once
        assert sha256(beta, f"{places[1]}/kernel") == sha256(alpha, f"{BOOT}/vmlinuz")
        panel("verify", key)

        rehearsal = panel.json("rehearse", key)
        assert rehearsal["passed"] is True
        assert traces(beta) == ""

        back = panel.json("restore", key, "--to", "beta", "--name", "direct-copy")
        assert back["left_out"] == []
        xml = virsh(beta, "dumpxml", "--inactive", "direct-copy")
        assert "<kernel>/srv/images/direct-copy-kernel</kernel>" in xml
        assert BOOT not in xml
        state = STATE.format(uuid=back["uuid"])
        assert sha256(beta, state) == sha256(beta, f"{places[1]}/tpm2-00.permall")
        owners = inside(beta, ["stat", "-c", "%U %a", state.rpartition("/")[0], state]).stdout
        assert owners.split() == ["tss", "700", "tss", "600"]
        panel("vm", "start", "direct-copy")
        eventually(lambda: answering(lab, "beta", "direct-copy"), "the copy runs", 90)
        log = inside(
            beta, ["sh", "-c", "cat /var/log/swtpm/libvirt/qemu/direct-copy*"], check=False
        )
        assert "Starting vTPM manufacturing" not in log.stdout  # its state was taken as it is
        assert uuid != back["uuid"]


def sha256(host: Host, path: str) -> str:
    return str(inside(host, ["sha256sum", path]).stdout).split()[0]


@pytest.mark.timeout(400)
def test_a_killed_worker_leaves_nothing(
    panel: Panel, eventually: Eventually, beta: Host, kept: str
) -> None:
    """libvirt ends the domain as soon as the worker's connection is gone, before any settling."""
    number, _ = begun(panel, eventually, beta, kept)
    assert kill_long_workers(panel)
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
        eventually(lambda: traces(beta) == "", "the host ends it", 120)
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
