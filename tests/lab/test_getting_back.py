"""Getting back on two real hosts: mixed generations, in place, at once, killed in the middle."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import faults
from lab.agent import exec_in_guest
from lab.state import Lab
from lab.tree import manifest
from lab.virsh import define, inside, states, virsh
from tests.lab.moving import slow
from tests.lab.panels import Panel, supervise
from tests.lab.vms import answering, remove_vm
from tests.lab.workers import kill_long_workers

pytestmark = pytest.mark.timeout(600)
Eventually = Callable[..., Any]
IMAGES = "/srv/images"
MIB = 1 << 20


def in_home(lab: Lab, script: str, host: str = "alpha", vm: str = "home") -> str:
    done = exec_in_guest(lab, host, vm, ["/bin/sh", "-c", script])
    assert done.returncode == 0, done.stderr
    return done.stdout.decode()


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
        came = {disk["target"]: disk["from"] for disk in made["disks"]}
        assert came == {"vda": first, "vdb": second}
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


def test_an_image_that_names_another_file_is_not_opened(
    lab: Lab, panel: Panel, eventually: Eventually
) -> None:
    """A stranger's hand in the store's folder, and a VM's own image that names a file of its
    host: neither file reaches a VM or a store."""
    alpha, beta = lab.layout.host("alpha"), lab.layout.host("beta")
    key = panel.json("backup", "store", "--store", "far")["generation"]
    found = ["sh", "-c", f"ls /srv/*/*/{key}/*.qcow2"]
    image = inside(beta, found).stdout.split()[0]
    forge = ["qemu-img", "rebase", "-u", "-f", "qcow2", "-F", "raw", "-b", "/root/secret"]
    inside(beta, ["cp", image, "/root/kept"])
    try:
        for host in (alpha, beta):
            inside(host, ["sh", "-c", "umask 077; yes SECRETHASH | head -c 1M > /root/secret"])
        inside(beta, [*forge, image])
        words = ("restore", key, "--to", "alpha", "--name", "stolen")
        for way in (["--instant"], []):
            refused = panel(*words, *way, ok=False)
            assert refused.returncode == 1
            assert "it is based on '/root/secret', and its manifest says on" in refused.stderr
        assert "stolen" not in states(alpha)
        assert leftovers(lab) == []
        rehearsed = panel("rehearse", key, ok=False)
        assert "its manifest says on" in rehearsed.stdout + rehearsed.stderr
        own = f"{IMAGES}/leak.qcow2"
        make = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", "/root/secret", own]
        inside(alpha, make)
        define(alpha, LEAK.format(own=own))
        eventually(lambda: "leak" in [vm["name"] for vm in panel.json("vm", "list")], "it is seen")
        refused = panel("backup", "leak", "--store", "far", ok=False)
        assert "neither the VM's definition names" in refused.stderr
    finally:
        inside(beta, ["mv", "/root/kept", image])
        for host in (alpha, beta):
            inside(host, ["rm", "-f", "/root/secret"])
        if "leak" in states(alpha):
            remove_vm(lab, "alpha", "leak")


LEAK = """<domain type='qemu'><name>leak</name><memory unit='MiB'>64</memory>
<os><type arch='x86_64'>hvm</type></os><devices><disk type='file' device='disk'>
<driver name='qemu' type='qcow2'/><source file='{own}'/><target dev='vda' bus='virtio'/>
</disk></devices></domain>"""

REACHING = (
    "<filesystem type='mount' accessmode='passthrough'><source dir='/'/><target dir='root'/>"
    "</filesystem></devices>"
)
QEMU = (
    "<q:commandline xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'>"
    "<q:arg value='-name'/><q:arg value='pwned-by-store'/></q:commandline></domain>"
)


def test_what_reaches_into_the_host_needs_the_owners_word(lab: Lab, panel: Panel) -> None:
    """A copy of the panel's own, of a VM that really had a folder of its host."""
    alpha, beta = lab.layout.host("alpha"), lab.layout.host("beta")
    before = virsh(alpha, "dumpxml", "--inactive", "store")
    define(alpha, before.replace("</devices>", REACHING).replace("</domain>", QEMU))
    made = []
    try:
        key = panel.json("backup", "store", "--store", "far")["generation"]
        words = ("restore", key, "--to", "beta", "--name")
        for way in ([], ["--instant"]):
            refused = panel(*words, "reaching", *way, ok=False)
            assert refused.returncode == 1
            assert "(1) a folder of the host (filesystem: type=mount" in refused.stderr
            assert "arguments of its own to QEMU (commandline: arg value=-name" in refused.stderr
        assert "reaching" not in states(beta)
        assert leftovers(lab) == []
        assert inside(beta, ["find", IMAGES, "-name", "reaching*"]).stdout == ""
        planned = panel("move", "store", "--to", "beta", "--plan", ok=False)
        assert "store would hold a folder of the host (filesystem" in planned.stdout
        code = refused.stderr.partition("--accept-reach ")[2].split()[0]
        for name, way, count in (
            ("without", ["--drop-reach"], 0),
            ("with-all", ["--accept-reach", code], 1),
        ):
            made.append(("beta", name))
            panel.json(*words, name, *way)
            xml = virsh(beta, "dumpxml", "--inactive", name)
            assert [xml.count("<filesystem"), xml.count("pwned-by-store")] == [count, count]
        made.append(("alpha", "known"))
        panel.json("restore", key, "--to", "alpha", "--name", "known")
        assert "pwned-by-store" in virsh(alpha, "dumpxml", "--inactive", "known")
    finally:
        for host, name in made:
            remove_vm(lab, host, name)
        define(alpha, before)


@pytest.mark.timeout(900)
def test_an_empty_panel_and_a_store_know_all_again(
    lab: Lab,
    panel: Panel,
    eventually: Eventually,
    weeks: tuple[str, str, list[dict[str, Any]]],
    tmp_path: Path,
) -> None:
    """The first panel and alpha count as lost: the second one knows beta alone."""
    listed = panel.json("generations")
    kept = {each["generation"] for each in listed if each["store"] == "far"}  # "close" is on alpha
    second = Panel(tmp_path / "second", supervise(tmp_path / "second", "up", "--detach").stdout)
    try:
        key = tmp_path / "authorize.pub"
        key.write_text(second("host", "key").stdout)
        lab.authorize(key)
        beta = lab.hosts["beta"]
        target = ("beta", f"root@{beta.address}", "--fingerprint", beta.fingerprint)
        second("host", "add", *target)
        where = ("far", "--host", "beta", "/srv/store")
        refused = second("store", "add", *where, ok=False)
        assert "is used by another panel" in refused.stderr
        second("store", "add", *where, "--take-over")
        found = {each["generation"]: each for each in second.json("generations")}
        assert set(found) == kept
        assert {each["state"] for each in found.values()} == {"complete"}
        second("restore", weeks[1], "--to", "beta", "--name", "rebuilt", "--start")
        eventually(lambda: answering(lab, "beta", "rebuilt"), "the restored VM answers", 120)
        assert in_home(lab, "cat /var/week", "beta", "rebuilt") == "two\n"
        assert manifest(lab.layout.host("beta"), "rebuilt", "/home") == weeks[2]
    finally:
        supervise(second.home, "down")
        remove_vm(lab, "beta", "rebuilt")
        panel("store", "add", *("far", "--host", "beta", "/srv/store"), "--take-over")
    assert {each["generation"] for each in panel.json("generations")} >= kept
