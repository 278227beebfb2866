"""Hosts that hang, vanish, restart and change their key, and names that are out to break things.

Every test puts right what it broke, and ends only when the panel has seen that.
"""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pytest

from lab import network
from lab.state import Lab
from tests.lab.panels import Panel
from tests.lab.watching import Watcher, watch

Eventually = Callable[..., Any]
ODD = "'\"<b>$(reboot) `id` & 家のサーバー"
ODD_XML = """<domain type='qemu'><name>{name}</name><memory>65536</memory>
<os><type arch='x86_64'>hvm</type></os></domain>"""


@pytest.fixture(scope="module")
def watcher(panel: Panel) -> Iterator[Watcher]:
    watching = watch(panel)
    yield watching
    watching.close()


@pytest.fixture
def well(watcher: Watcher, eventually: Eventually) -> Callable[[], None]:
    """Waits until both hosts and all that is known of them is as it was before the test."""

    def seen() -> tuple[Any, ...]:
        hosts = [(row["name"], row["state"], row["reason"]) for row in watcher.hosts().values()]
        return (*hosts, watcher.states("alpha"), watcher.states("beta"))

    before = seen()
    assert [row[1:] for row in before[:2]] == [("up", ""), ("up", "")]
    return lambda: eventually(lambda: seen() == before, f"all is well again: {before}", 75)


def test_both_hosts_and_their_guests_are_seen(panel: Panel, lab: Lab) -> None:
    rows = panel.json("host", "list")
    assert [(row["name"], row["address"], row["state"]) for row in rows] == [
        ("alpha", lab.hosts["alpha"].address, "up"),
        ("beta", lab.hosts["beta"].address, "up"),
    ]
    found = {vm["name"]: vm for vm in panel.json("vm", "list", "--host", "alpha")}
    disks = [(disk["target"], disk["format"]) for disk in found["home"]["disks"]]
    assert disks == [("vda", "qcow2"), ("vdb", "qcow2")]
    assert all(disk["capacity_bytes"] > 2**20 for disk in found["store"]["disks"])
    facts = panel.json("vm", "show", "home")
    assert {disk["file_system"] for disk in facts["disks"]} == {"/srv/images"}
    chain = next(
        system["chain"]
        for system in panel.json("host", "show", "alpha")["file_systems"]
        if system["mount_point"] == "/srv/images"
    )
    assert chain[0]["type"] == "loop"


def test_the_same_machine_is_not_taken_twice(panel: Panel, lab: Lab) -> None:
    alpha = lab.hosts["alpha"]
    words = ("host", "add", "again", f"root@{alpha.address}:22", "--fingerprint", alpha.fingerprint)
    done = panel(*words, ok=False)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "the same machine as the host alpha" in done.stderr


def test_a_wrong_address_or_fingerprint_adds_nothing(panel: Panel, lab: Lab) -> None:
    alpha = lab.hosts["alpha"]
    wrong = {
        f"root@{alpha.address}:2222": "the port is closed",
        "root@no-such-machine.invalid": "no machine is known by that name",
    }
    for target, why in wrong.items():
        done = panel("host", "add", "gamma", target, "--fingerprint", "SHA256:x", ok=False)
        assert done.returncode == 1
        assert why in done.stderr
    done = panel("host", "add", "gamma", f"root@{alpha.address}:22", ok=False)
    assert alpha.fingerprint in done.stderr
    assert [row["name"] for row in panel.json("host", "list")] == ["alpha", "beta"]


def test_a_key_that_is_not_accepted_any_more_is_said_with_what_to_do(
    panel: Panel, watcher: Watcher, lab: Lab, eventually: Eventually, well: Callable[[], None]
) -> None:
    listed = lab.hosts["beta"].state_dir / "authorized_keys"
    before = listed.read_text()
    own = panel("host", "key").stdout.strip()
    try:
        listed.write_text("".join(f"{line}\n" for line in before.splitlines() if line != own))
        end_sshd(lab, "beta")
        eventually(
            lambda: "does not accept the panel's key" in watcher.hosts()["beta"]["reason"],
            "it is said",
            60,
        )
        assert "./panel host key" in watcher.hosts()["beta"]["reason"]
    finally:
        listed.write_text(before)
    well()


def test_a_vm_with_a_hostile_name_is_listed_unharmed(
    panel: Panel, watcher: Watcher, lab: Lab, eventually: Eventually, well: Callable[[], None]
) -> None:
    xml = ODD_XML.format(name=escape(ODD))
    lab.ssh("beta", ["virsh", "define", "/dev/stdin"], text_in=xml)
    try:
        eventually(lambda: ODD in watcher.states("beta"), "the odd VM is listed", 40)
        assert ODD in panel("vm", "list").stdout
        assert panel.json("vm", "show", ODD)["name"] == ODD
    finally:
        lab.ssh("beta", ["virsh", "undefine", ODD])
    eventually(lambda: watcher.states("beta").get(ODD) == "missing", "it is missing", 40)
    assert ODD in panel("vm", "forget", ODD).stdout
    assert ODD not in watcher.states("beta")


def test_a_cut_cable_is_noticed_and_so_is_its_mending(
    panel: Panel, watcher: Watcher, lab: Lab, eventually: Eventually, well: Callable[[], None]
) -> None:
    cable = lab.layout.hosts["alpha"]
    network.unplug(cable)
    try:
        eventually(lambda: watcher.hosts()["alpha"]["state"] == "unknown", "alpha is unknown", 60)
        assert set(watcher.states("alpha").values()) == {"unknown"}
        assert watcher.hosts()["beta"]["state"] == "up"
    finally:
        network.plug(cable)
    well()


NOISE = 'echo "  Welcome to alpha - up 3 days"; echo "  tip: use {braces}"\n'


def test_a_second_door_to_one_machine_is_refused(panel: Panel, lab: Lab) -> None:
    """Another address and another host key, as a NAS that the panel runs on has them."""
    alpha = lab.hosts["alpha"]
    key, config = alpha.state_dir / "second_key", alpha.state_dir / "second_config"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    text = (alpha.state_dir / "sshd_config").read_text().replace("Port 22\n", "Port 2222\n")
    pid = alpha.state_dir / "second_pid"
    text = text.replace("ssh_host_ed25519_key", key.name).replace("PidFile none", f"PidFile {pid}")
    config.write_text(text)
    lab.ssh("alpha", ["/usr/sbin/sshd", "-f", str(config)])
    try:
        line = ["ssh-keygen", "-l", "-E", "sha256", "-f", f"{key}.pub"]
        shown = subprocess.run(line, check=True, capture_output=True, text=True).stdout.split()[1]
        words = ("host", "add", "nas", f"root@{alpha.address}:2222", "--fingerprint", shown)
        done = panel(*words, ok=False)
        assert done.returncode == 1
        assert f"{words[3]} is the same machine as the host alpha" in done.stderr
        assert [row["name"] for row in panel.json("host", "list")] == ["alpha", "beta"]
    finally:
        lab.ssh("alpha", ["kill", pid.read_text().strip()], check=False)
        for path in (key, Path(f"{key}.pub"), config):
            path.unlink()


def test_another_login_shell_and_login_files_that_print(
    panel: Panel, watcher: Watcher, lab: Lab, well: Callable[[], None], eventually: Eventually
) -> None:
    """root of alpha has tcsh, and its files greet; all goes on as with bash."""
    if shutil.which("tcsh") is None:
        pytest.skip("not installed here: tcsh")
    home = lab.hosts["alpha"].state_dir / "root"
    lines = Path("/etc/passwd").read_text().splitlines()
    changed = [re.sub(r"^(root:.*):[^:]*$", r"\1:/bin/tcsh", line) for line in lines]
    passwd = lab.hosts["alpha"].state_dir / "passwd"
    passwd.write_text("\n".join(changed) + "\n")
    (home / ".cshrc").write_text(NOISE)
    lab.ssh("alpha", ["mount", "--bind", str(passwd), "/etc/passwd"])
    try:
        end_sshd(lab, "alpha")
        well()
        key = panel.json("backup", "store", "--store", "far")["generation"]
        assert panel("verify", key).returncode == 0
        (home / ".bashrc").write_text(NOISE)
        lab.ssh("alpha", ["umount", "/etc/passwd"])
        end_sshd(lab, "alpha")
        well()
        kinds = {row["kind"] for row in panel.json("incidents")}
        assert not kinds & {"host", "libvirt", "check"}
    finally:
        lab.ssh("alpha", ["umount", "/etc/passwd"], check=False)
        for path in (home / ".cshrc", home / ".bashrc", passwd):
            path.unlink(missing_ok=True)
        end_sshd(lab, "alpha")
    well()


def test_an_sshd_that_forbids_forwarding_is_named(
    panel: Panel, watcher: Watcher, lab: Lab, eventually: Eventually, well: Callable[[], None]
) -> None:
    config = lab.hosts["alpha"].state_dir / "sshd_config"
    before = config.read_text()
    try:
        config.write_text(before.replace("Forwarding yes", "Forwarding no"))
        end_sshd(lab, "alpha")

        def said() -> list[str]:
            rows = panel.json("incidents")
            return [row["title"] for row in rows if row["kind"] == "libvirt"]

        titles = eventually(said, "it is named", 90)
        assert titles[0].startswith(
            "sshd on alpha forbids forwarding (AllowStreamLocalForwarding), so "
        )
        assert "forbids forwarding" in watcher.hosts()["alpha"]["reason"]
    finally:
        config.write_text(before)
        end_sshd(lab, "alpha")
    well()


def test_a_restarted_ssh_server_is_found_again(
    panel: Panel, lab: Lab, well: Callable[[], None]
) -> None:
    end_sshd(lab, "alpha")
    well()


def end_sshd(lab: Lab, name: str) -> None:
    """The server and every connection; the practice host starts it again, after a second, and then
    it listens."""
    listens = "for i in $(seq 50); do pgrep -x sshd && exit; sleep 0.2; done; exit 1"
    pids = lab.ssh(name, ["sh", "-c", listens]).stdout.split()
    lab.ssh(name, ["kill", "-KILL", *pids], check=False)
    until, door = time.monotonic() + 20, (lab.hosts[name].address, 22)
    while time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection(door, 1):
            return
        time.sleep(0.1)
    raise AssertionError(f"sshd of {name} was not started again")


def test_a_changed_host_key_is_refused_and_said_plainly(
    panel: Panel,
    watcher: Watcher,
    lab: Lab,
    eventually: Eventually,
    well: Callable[[], None],
    tmp_path: Path,
) -> None:
    folder = lab.hosts["alpha"].state_dir
    names = ("ssh_host_ed25519_key", "ssh_host_ed25519_key.pub")
    for name in names:
        shutil.copy2(folder / name, tmp_path / name)
    try:
        make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "other")]
        subprocess.run(make, check=True)
        for name, fresh in zip(names, ("other", "other.pub"), strict=True):
            shutil.copy2(tmp_path / fresh, folder / name)
        end_sshd(lab, "alpha")
        eventually(
            lambda: "another SSH host key" in watcher.hosts()["alpha"]["reason"], "it is said", 60
        )
        assert watcher.hosts()["alpha"]["state"] == "unknown"
    finally:
        for name in names:
            shutil.copy2(tmp_path / name, folder / name)
        end_sshd(lab, "alpha")
    well()


def test_dead_and_hung_control_masters_are_replaced(
    panel: Panel, watcher: Watcher, lab: Lab, well: Callable[[], None], eventually: Eventually
) -> None:
    for number in (signal.SIGKILL, signal.SIGSTOP):
        found = masters(panel)
        assert found
        since = {name: row["last_seen"] for name, row in watcher.hosts().items()}
        for pid in found:
            os.kill(pid, number)
        try:
            eventually(
                lambda since=since: all(
                    row["state"] == "up" and row["last_seen"] > since[row["name"]]
                    for row in watcher.hosts().values()
                ),
                f"both are looked at after signal {number}",
                60,
            )
        finally:
            if number == signal.SIGSTOP:
                for pid in found:
                    os.kill(pid, signal.SIGKILL)
    well()


def masters(panel: Panel) -> list[int]:
    """Pids of the panel's own ssh control masters, asked by their sockets."""
    digest = sha256(str(panel.home.resolve()).encode()).hexdigest()[:10]
    pids = []
    for path in Path(f"/run/labpanel-{os.geteuid()}-{digest}").glob("c-*"):
        words = ["ssh", "-F", "none", "-o", f"ControlPath={path}", "-O", "check", "any"]
        said = subprocess.run(words, capture_output=True, text=True, timeout=10, check=False).stderr
        pids += [int(pid) for pid in re.findall(r"pid=(\d+)", said)]
    return pids


def test_a_vm_is_started_and_switched_off(
    panel: Panel, watcher: Watcher, well: Callable[[], None]
) -> None:
    done = panel("vm", "start", "store")
    assert done.stdout == "store runs on alpha.\n"
    assert watcher.states("alpha")["store"] == "running"
    refused = panel("vm", "start", "store", ok=False)
    assert (refused.returncode, refused.stderr) == (1, "store is running already.\n")
    assert panel.json("vm", "destroy", "store") == {"vm": "store", "verb": "destroy"}
    assert watcher.states("alpha")["store"] == "shut off"
