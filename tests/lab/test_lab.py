"""The practice lab itself: it comes up, tells the truth, breaks on demand and leaves nothing."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import agent, faults, guests, namespace, smart, tree
from lab.commands import LabError
from lab.layout import ROOT
from lab.state import Lab
from lab.virsh import domains, states, virsh

REPOSITORY = Path(__file__).resolve().parent.parent.parent


def ssh(lab: Lab, host: str, command: str) -> subprocess.CompletedProcess[str]:
    """A real sign-in over the network, as the panel does it."""
    options = {
        "BatchMode": "yes",
        "ConnectTimeout": "5",
        "LogLevel": "ERROR",
        "StrictHostKeyChecking": "no",
        "UserKnownHostsFile": "/dev/null",
        "IdentitiesOnly": "yes",
    }
    words = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
    target = f"root@{lab.hosts[host].address}"
    return subprocess.run(
        ["ssh", "-i", str(lab.key), *words, target, command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def command_lines() -> Iterator[str]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                words = (folder / "cmdline").read_bytes().split(b"\0")
                yield b" ".join(words).decode(errors="replace")
            except OSError:
                continue


def traces(name: str, number: int | None) -> list[str]:
    """Everything on the machine that belongs to a lab."""
    loops = subprocess.run(["losetup", "-a"], capture_output=True, text=True, check=True).stdout
    mounts = Path("/proc/mounts").read_text()
    found = [line for line in (loops + mounts).splitlines() if f"/{name}/" in line]
    found += [str(path) for path in (ROOT / name,) if path.exists()]
    found += [str(path) for path in namespace.NETNS.glob(f"{name}-*")]
    found += [str(path) for path in Path("/run/lock").glob(f"*{name}*")]
    found += [line for line in command_lines() if f"/{name}/" in line or f"{name}-alpha" in line]
    if number is not None:
        links = Path("/sys/class/net")
        found += [str(path) for path in links.iterdir() if path.name.split("-")[0] == f"lp{number}"]
    return found


@pytest.fixture
def spare() -> Iterator[Lab]:
    """The name of a second lab; whatever a test leaves of it is removed."""
    other = Lab.load(f"s{os.getpid()}")
    try:
        yield other
    finally:
        other.down()


def test_two_labs_side_by_side_and_down_leaves_nothing(lab: Lab, spare: Lab) -> None:
    spare.up()
    number = spare.layout.number
    assert number != lab.layout.number
    assert traces(spare.name, number)
    addresses = {host.address for one in (lab, spare) for host in one.hosts.values()}
    assert len(addresses) == 4

    spare.down()

    assert traces(spare.name, number) == []
    assert ssh(lab, "alpha", "hostname").stdout == "alpha\n"


@pytest.mark.parametrize("seconds", [0.3, 0.7, 2.0])
def test_a_killed_up_is_finished_or_removed(spare: Lab, seconds: float) -> None:
    words = [sys.executable, "-m", "lab", "up", "--name", spare.name]
    with subprocess.Popen(words, cwd=REPOSITORY, start_new_session=True) as process:
        time.sleep(seconds)
        process.kill()
    half = spare.layout.number if spare.state_dir.is_dir() else None
    if seconds == 0.7:
        spare.up()
        assert set(domains(spare.layout.host("alpha"))) == {"home", "web", "store"}

    spare.down()

    assert traces(spare.name, half) == []


def test_down_of_nothing_is_fine(spare: Lab) -> None:
    spare.down()
    assert traces(spare.name, None) == []


def test_a_second_up_changes_nothing(lab: Lab) -> None:
    host = lab.layout.host("alpha")
    before = {p.pid for p in namespace.processes(host) if p.command.startswith("qemu-system")}
    assert len(before) >= 2

    lab.up()

    after = {p.pid for p in namespace.processes(host) if p.command.startswith("qemu-system")}
    assert after == before


@pytest.mark.parametrize("host", ["alpha", "beta"])
def test_hosts_answer_over_ssh(lab: Lab, host: str) -> None:
    answer = ssh(
        lab, host, "hostname; virsh -q -c qemu:///system uri; findmnt -no FSTYPE /srv/images"
    )
    assert answer.stdout.splitlines() == [host, "qemu:///system", "ext4"]
    scanned = subprocess.run(
        ["ssh-keyscan", "-t", "ed25519", lab.hosts[host].address],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    ).stdout
    finger = subprocess.run(
        ["ssh-keygen", "-lf", "-"], input=scanned, capture_output=True, text=True, check=True
    ).stdout
    assert lab.hosts[host].fingerprint in finger


def test_a_key_signs_in_once_it_is_authorized(lab: Lab, tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    words = ["ssh", "-i", str(key), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"]
    words += ["-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={tmp_path}/known"]
    words += [f"root@{lab.hosts['beta'].address}", "true"]
    assert subprocess.run(words, capture_output=True, timeout=30, check=False).returncode == 255

    lab.authorize(key.with_suffix(".pub"))

    assert subprocess.run(words, capture_output=True, timeout=30, check=False).returncode == 0


def test_hosts_differ_where_real_ones_do(lab: Lab) -> None:
    for question in ("cat /etc/machine-id", "virsh capabilities | grep -m1 uuid", "hostname"):
        answers = {ssh(lab, host, question).stdout for host in lab.hosts}
        assert len(answers) == 2, f"{question}: {answers}"
    users = ssh(lab, "alpha", "grep ^user /etc/libvirt/qemu.conf").stdout
    assert 'user = "root"' in users
    assert ssh(lab, "beta", "grep ^user /etc/libvirt/qemu.conf").stdout == ""


def test_guests_boot_and_serve(lab: Lab) -> None:
    host = lab.layout.host("alpha")
    state = states(host)
    assert (state["home"], state["web"], state["store"]) == ("running", "running", "shut off")
    address = f"10.77.{lab.layout.number}.12"
    with urllib.request.urlopen(f"http://{address}/", timeout=10) as page:
        assert b"<h1>web</h1>" in page.read()
    # Ask home's DNS from inside the lab, and its DHCP server with a real DISCOVER.
    name_server = f"10.77.{lab.layout.number}.11"
    asked = lab.ssh("beta", ["busybox", "nslookup", "web.lab.internal", name_server], check=False)
    assert address in asked.stdout
    lease = lab.ssh("beta", ["busybox", "udhcpc", "-f", "-n", "-q", "-i", "br0", "-s", "/bin/true"])
    assert f"from 10.77.{lab.layout.number}.1" in lease.stdout + lease.stderr


def test_the_writers_lines_have_no_gap(lab: Lab) -> None:
    url = f"http://10.77.{lab.layout.number}.12/lines.log"
    with urllib.request.urlopen(url, timeout=10) as page:
        lines = page.read().decode().splitlines()
    assert len(lines) > 3
    assert [int(line.split()[0]) for line in lines] == list(range(1, len(lines) + 1))


def test_tree_lists_home_completely(lab: Lab) -> None:
    entries = {entry["path"]: entry for entry in tree.manifest(lab.layout.host("alpha"), "home")}
    assert len(entries) > 250
    assert entries["hanako/.ssh/id_ed25519.example"]["mode"] == "600"
    assert entries["hanako/.bashrc"]["uid"] == 1000
    assert entries["hanako/also-original-0"]["hard_links"] == [
        "shared/links/hard-0",
        "shared/links/original-0",
    ]
    assert entries["taro/broken"]["link"] == "/nowhere/at/all"
    assert entries["shared/tagged.txt"]["xattrs"]["user.comment"] == "書類".encode().hex()
    assert entries["shared"]["xattrs"] == {"user.origin": b"practice".hex()}
    assert entries["shared/odd/new\nline.txt"]["size"] == len("new\nline.txt")
    assert entries["shared/sparse.img"]["size"] == (48 << 20) + 3
    digests = [e["sha256"] for e in entries.values() if e["type"] == "f"]
    assert all(len(digest) == 64 for digest in digests)


def test_the_agent_freezes_and_thaws(lab: Lab) -> None:
    host = lab.layout.host("alpha")
    try:
        assert agent.ask(host, "home", "guest-fsfreeze-freeze") == 2
        assert agent.ask(host, "home", "guest-fsfreeze-status") == "frozen"
    finally:
        agent.ask(host, "home", "guest-fsfreeze-thaw")
    done = agent.exec_in_guest(lab, "alpha", "home", ["/bin/sh", "-c", "cat /etc/hostname; exit 3"])
    assert (done.stdout, done.returncode) == (b"home\n", 3)


def test_odd_names_are_defined_as_they_are(lab: Lab) -> None:
    host = lab.layout.host("alpha")
    guests.define_odd(lab.layout)
    try:
        assert set(guests.ODD_NAMES) <= set(domains(host))
    finally:
        for name in guests.ODD_NAMES:
            virsh(host, "undefine", "--domain", name)
            lab.ssh("alpha", ["sh", "-c", "rm -f /srv/images/odd-*.qcow2"])


def test_smartctl_answers_with_the_recording_it_was_given(lab: Lab, tmp_path: Path) -> None:
    host = lab.layout.host("beta")
    healthy = ssh(lab, "beta", "smartctl --scan; smartctl -j -x /dev/sda")
    first, _, recording = healthy.stdout.partition("\n")
    assert first.startswith("/dev/sda ")
    assert json.loads(recording)["serial_number"] == smart.serial(host)
    other = tmp_path / "failing.txt"
    other.write_text("SMART overall-health self-assessment test result: FAILED!\n")
    try:
        smart.swap(host, other, None)
        failing = ssh(lab, "beta", "smartctl --all /dev/sda")
        assert (failing.stdout, failing.returncode) == (other.read_text(), 8)
        assert ssh(lab, "beta", "smartctl -j -x /dev/sda").returncode == 2
    finally:
        smart.reset(host)
    assert ssh(lab, "beta", "smartctl --all /dev/sda").returncode == 0


def test_an_ext4_error_makes_the_file_system_refuse_writes_until_healed(lab: Lab) -> None:
    host = lab.layout.host("beta")
    faults.cause(host, "readonly", "store")
    try:
        refused = ssh(lab, "beta", "touch /srv/store/canary")
        assert "Read-only file system" in refused.stderr
    finally:
        faults.heal(lab.layout, host)
    assert ssh(lab, "beta", "touch /srv/store/canary && rm /srv/store/canary").returncode == 0


def test_a_pulled_cable_and_a_silent_libvirtd_are_healed(lab: Lab) -> None:
    host = lab.layout.host("beta")
    try:
        faults.cause(host, "cable")
        assert ssh(lab, "beta", "true").returncode == 255
        faults.cause(host, "hang")
        with pytest.raises(LabError, match="no answer within"):
            virsh(host, "list", timeout=3)
    finally:
        faults.heal(lab.layout, host)
    assert ssh(lab, "beta", "virsh -q list").returncode == 0


def test_a_full_store_has_room_again_after_heal(lab: Lab) -> None:
    host = lab.layout.host("beta")
    write = "dd if=/dev/zero of=/srv/store/some bs=1M count=8 && rm /srv/store/some"
    try:
        faults.cause(host, "fill")
        assert "No space left" in ssh(lab, "beta", write).stderr
        ssh(lab, "beta", "rm -f /srv/store/some")
    finally:
        faults.heal(lab.layout, host)
    assert ssh(lab, "beta", write).returncode == 0


def test_what_is_wrong_is_said_in_one_sentence(lab: Lab) -> None:
    with pytest.raises(LabError, match="no host 'gamma'"):
        lab.ssh("gamma", ["true"])
    with pytest.raises(LabError, match="no practice lab"):
        _ = Lab.load("nosuch").layout
    with pytest.raises(LabError, match="can't be called"):
        Lab.load("../evil")
    with pytest.raises(LabError, match="failed"):
        agent.ask(lab.layout.host("alpha"), "store", "guest-ping")
