"""Backups on two real libvirt hosts: kept, proven, brought back, and every way to fail."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import faults, guests
from lab.agent import exec_in_guest
from lab.state import Lab
from lab.tree import manifest
from lab.virsh import inside, virsh
from tests.lab.asking import STORE, copying, folder_of, incidents_of, job, verdict, vm_of
from tests.lab.moving import slow
from tests.lab.panels import Panel
from tests.lab.vms import answering, remove_vm
from tests.lab.workers import kill_long_workers

Eventually = Callable[..., Any]
BIG = "/srv/images/big.raw"
# Over a minute at the speed of tests.lab.moving.slow.
BIG_MIB = 320


@pytest.fixture(scope="module")
def home_kept(lab: Lab, panel: Panel) -> tuple[str, list[dict[str, Any]]]:
    """A generation of the running home, and its /home at that instant (nothing writes there)."""
    alpha = lab.layout.host("alpha")
    before = manifest(alpha, "home", "/home")
    kept = panel.json("backup", "home", "--store", "far")
    assert manifest(alpha, "home", "/home") == before
    assert kept["consistency"] == "quiesced"
    assert {disk["target"]: disk["mode"] for disk in kept["disks"]} == {
        "vda": "full",
        "vdb": "full",
    }
    return kept["generation"], before


def test_the_copy_of_home_boots_with_every_file_as_it_was(
    lab: Lab,
    panel: Panel,
    eventually: Eventually,
    home_kept: tuple[str, list[dict[str, Any]]],
) -> None:
    """Content, mode, owner, mtime, links, extended attributes: file by file."""
    key, before = home_kept
    later = ["/bin/sh", "-c", "echo later > /home/written-later; sync"]
    exec_in_guest(lab, "alpha", "home", later)
    for level in ("1", "2"):
        assert panel.json("verify", key, "--level", level)["verified"] is True
    assert verdict(panel, "home", "vdb") == "unrehearsed"
    try:
        made = panel.json("restore", key, "--to", "beta", "--name", "home-copy", "--start")
        assert made["started"] is True
        beta = lab.layout.host("beta")
        eventually(
            lambda: "running" in virsh(beta, "domstate", "home-copy", check=False), "it runs", 30
        )

        def listed() -> list[dict[str, Any]]:
            try:
                return manifest(beta, "home-copy", "/home")
            except Exception:  # noqa: BLE001 - it still boots; the deadline says when that is too long
                return []

        assert eventually(listed, "the copy's agent lists /home", 90) == before
        original = virsh(lab.layout.host("alpha"), "domuuid", "home").strip()
        assert virsh(beta, "domuuid", "home-copy").strip() != original
    finally:
        remove_vm(lab, "beta", "home-copy")
        exec_in_guest(lab, "alpha", "home", ["/bin/rm", "-f", "/home/written-later"])


def test_the_files_stand_without_us(
    lab: Lab, panel: Panel, home_kept: tuple[str, list[dict[str, Any]]]
) -> None:
    place = folder_of(panel, home_kept[0])
    beta = lab.layout.host("beta")
    for disk in ("vda", "vdb"):
        inside(beta, ["qemu-img", "check", f"{place}/{disk}.qcow2"])
    files = inside(beta, ["ls", place]).stdout.split()
    assert {"manifest.json", "domain.xml", "RECOVER.txt", "vda.digests"} <= set(files)


def test_recover_txt_followed_by_hand_boots_the_vm(
    lab: Lab, panel: Panel, eventually: Eventually
) -> None:
    """The VM that is off, one raw and one qcow2 disk, from the text alone."""
    kept = panel.json("backup", "store", "--store", "far")
    assert kept["consistency"] == "powered off"
    place, beta = folder_of(panel, kept["generation"]), lab.layout.host("beta")
    text = inside(beta, ["cat", f"{place}/RECOVER.txt"]).stdout
    commands = text[text.index("set -eu") :]
    try:
        inside(beta, ["sh", "-c", f"cd {place} && {commands}"], timeout=120)
        eventually(lambda: answering(lab, "beta", "store"), "the recovered VM's agent answers", 90)
        again = inside(beta, ["sh", "-c", f"cd {place} && {commands}"], check=False, timeout=120)
        assert again.returncode != 0  # it never writes over a file that exists
    finally:
        remove_vm(lab, "beta", "store")
    eventually(lambda: vm_of(panel, "store", "alpha"), "store is seen on alpha again", 60)
    # Until beta's next look says otherwise, both hosts have it, and nothing of it is backed up.
    eventually(lambda: not incidents_of(panel, "two-hosts"), "the incident of two hosts ends", 90)


def test_rot_is_named_and_never_restored(lab: Lab, panel: Panel) -> None:
    key = panel.json("backup", "store", "--store", "far")["generation"]
    beta = lab.layout.host("beta")
    write = ["qemu-io", "-c", "write -q -P 99 300k 4k", f"{folder_of(panel, key)}/vdb.qcow2"]
    inside(beta, write)
    refused = panel("restore", key, "--to", "beta", "--name", "rotten", ok=False)
    assert refused.returncode == 1
    assert "is not what was backed up" in refused.stderr.splitlines()[-1]
    assert "rotten" not in virsh(beta, "list", "--all", "--name")
    assert "rotten" not in inside(beta, ["ls", "-A", "/srv/images"]).stdout
    found = panel("verify", key, ok=False)
    assert found.returncode == 1
    assert "vdb.qcow2 differs from what was backed up at bytes 262144–524287" in found.stderr
    assert panel("restore", key, "--to", "beta", "--name", "rotten", ok=False).returncode == 1


def test_odd_names_come_through_unharmed(lab: Lab, panel: Panel, eventually: Eventually) -> None:
    guests.define_odd(lab.layout)
    alpha, beta = lab.layout.host("alpha"), lab.layout.host("beta")
    for name in guests.ODD_NAMES:
        eventually(lambda name=name: vm_of(panel, name), f"{name} is seen", 60)
        kept = panel.json("backup", name, "--store", "far")
        assert kept["vm"] == name
        try:
            made = panel.json("restore", kept["generation"], "--to", "beta")
            assert made["vm"] == f"{name}-restored"
            source = virsh(alpha, "domblklist", name).split()[1]
            copy = made["disks"][0]["path"]
            assert Path(copy).parent == Path("/srv/images")
            there = inside(beta, ["qemu-io", "-r", "-c", "read -v 1M 16", copy]).stdout
            here = inside(alpha, ["qemu-io", "-r", "-c", "read -v 1M 16", source]).stdout
            assert there.splitlines()[0] == here.splitlines()[0]
        finally:
            remove_vm(lab, "beta", f"{name}-restored")
    assert inside(beta, ["find", "/", "-xdev", "-name", "pwned"], check=False).stdout == ""


def test_an_iothread_disk_is_copied_aside_and_the_vm_lives(
    lab: Lab, panel: Panel, eventually: Eventually
) -> None:
    """Served by this QEMU it would die at the client's disconnecting (facts, finding 1)."""
    name, alpha = guests.start_threaded(lab.layout), lab.layout.host("alpha")
    try:
        eventually(lambda: vm_of(panel, name), "it is seen", 60)
        process = virsh(alpha, "domid", name)
        kept = panel.json("backup", name, "--store", "far")
        assert kept["consistency"] == "crash-consistent"
        assert virsh(alpha, "domid", name) == process
        assert "running" in virsh(alpha, "domstate", name)
        assert ".staging" not in inside(alpha, ["ls", "-A", "/srv/images"]).stdout
        panel("verify", kept["generation"], "--level", "2")
    finally:
        remove_vm(lab, "alpha", name)


@pytest.fixture
def big(lab: Lab, panel: Panel, eventually: Eventually) -> Iterator[None]:
    """A disk on web that takes a while to copy."""
    alpha = lab.layout.host("alpha")
    inside(alpha, ["sh", "-c", f"head -c {BIG_MIB}M /dev/urandom > {BIG}"])
    attach = ["--subdriver", "raw", "--targetbus", "virtio", "--live"]
    virsh(alpha, "attach-disk", "web", BIG, "vdz", *attach)
    try:
        eventually(lambda: verdict(panel, "web", "vdz"), "the disk is seen", 60)
        yield
    finally:
        virsh(alpha, "detach-disk", "web", "vdz", "--live", check=False)
        inside(alpha, ["rm", "-f", BIG])


def clean(lab: Lab, panel: Panel) -> None:
    """Nothing of a backup is left on either host, and the guest lives."""
    alpha, beta = lab.layout.host("alpha"), lab.layout.host("beta")
    assert "None" in virsh(alpha, "domjobinfo", "web")
    assert "scratch" not in inside(alpha, ["ls", "-A", "/srv/images"]).stdout
    assert exec_in_guest(lab, "alpha", "web", ["/bin/true"]).returncode == 0
    partial = ["find", STORE, "-name", "*.partial"]
    until = time.monotonic() + 180  # the look at the stores sweeps, every two minutes
    while inside(beta, partial).stdout and time.monotonic() < until:
        time.sleep(2)
    assert inside(beta, partial).stdout == ""
    while serving(lab) and time.monotonic() < until:  # a script whose panel fell silent ends
        time.sleep(2)
    assert serving(lab) == []


def serving(lab: Lab) -> list[str]:
    """The hosts on which a qemu-nbd still runs."""
    looks = {name: inside(lab.layout.host(name), ["ps", "-eo", "comm"]) for name in lab.hosts}
    return [name for name, look in looks.items() if "qemu-nbd" in look.stdout]


@pytest.mark.timeout(600)
def test_a_cut_cable_fails_the_backup_and_spares_the_guest(
    lab: Lab, panel: Panel, eventually: Eventually, big: None
) -> None:
    before = panel.json("generations", "web")
    beta = lab.layout.host("beta")
    slowest = 0.0
    try:
        with slow(beta):
            number = copying(panel, eventually, "web", "vdz")
            faults.cause(beta, "cable")
        until = time.monotonic() + 120
        while job(panel, number)["state"] == "running" and time.monotonic() < until:
            asked = time.monotonic()
            write = ["/bin/sh", "-c", "echo x > /tmp/alive; sync"]
            assert exec_in_guest(lab, "alpha", "web", write).returncode == 0
            slowest = max(slowest, time.monotonic() - asked)
    finally:
        faults.heal(lab.layout, beta)
    ended = job(panel, number)
    assert ended["state"] == "failed"
    assert "web was not touched" in ended["sentence"]
    assert slowest < 20  # a frozen or stalled guest would take as long as the cut
    assert panel.json("generations", "web") == before
    clean(lab, panel)
    assert panel.json("backup", "web", "--store", "far")["generation"]


@pytest.mark.timeout(600)
def test_a_killed_worker_is_settled(
    lab: Lab, panel: Panel, eventually: Eventually, big: None
) -> None:
    before = panel.json("generations", "web")
    with slow(lab.layout.host("beta")):
        number = copying(panel, eventually, "web", "vdz")
        killed = kill_long_workers(panel)
    assert killed
    eventually(lambda: job(panel, number)["state"] == "lost", "the job is settled", 120)
    assert "no copy was made" in job(panel, number)["sentence"]
    assert panel.json("generations", "web") == before
    clean(lab, panel)
    assert panel.json("backup", "web", "--store", "far")["generation"]


def test_what_cannot_be_a_store_is_refused_in_one_sentence(lab: Lab, panel: Panel) -> None:
    beta = lab.layout.host("beta")
    inside(beta, ["mkdir", "-p", "/srv/store/inner"])
    try:
        for words, sentence in (
            (("--host", "beta", "/srv/nowhere"), "does not exist"),
            (("--host", "beta", "/proc"), "cannot be written to"),
            (("--host", "beta", "srv"), "not an absolute path"),
            (("--host", "beta", STORE), "already is a store"),
            (("--host", "gamma", "/srv"), "There is no host 'gamma'"),
        ):
            refused = panel("store", "add", "another", *words, ok=False)
            assert refused.returncode == 1
            assert sentence in refused.stderr
            assert len(refused.stderr.strip().splitlines()) == 1
        assert [store["name"] for store in panel.json("store", "list")] == ["far"]
    finally:
        inside(beta, ["rmdir", "/srv/store/inner"])


def test_a_store_beside_the_images_never_counts_as_away(
    lab: Lab, panel: Panel, eventually: Eventually
) -> None:
    """Allowed, but said, and shown as what it is."""
    alpha = lab.layout.host("alpha")
    inside(alpha, ["mkdir", "/srv/images/backups"])
    added = panel("store", "add", "beside", "--host", "alpha", "/srv/images/backups")
    assert "same physical disk as images of alpha" in added.stderr
    panel("backup", "store", "--store", "beside")
    rows = panel.json("generations", "store")
    assert rows[0]["store"] == "beside"
    store = next(row for row in panel.json("store", "list") if row["name"] == "beside")
    assert store["same_drive_as"] == ["alpha"]


def test_a_target_without_room_is_refused(
    lab: Lab, panel: Panel, home_kept: tuple[str, list[dict[str, Any]]]
) -> None:
    beta = lab.layout.host("beta")
    inside(beta, ["sh", "-c", "mkdir -p /srv/tiny && mount -t tmpfs -o size=8m none /srv/tiny"])
    try:
        words = [
            "restore",
            home_kept[0],
            "--to",
            "beta",
            "--name",
            "cramped",
            "--path",
            "/srv/tiny",
        ]
        refused = panel(*words, ok=False)
        assert refused.returncode == 1
        assert "of room" in refused.stderr
        assert inside(beta, ["ls", "-A", "/srv/tiny"]).stdout == ""
        assert "cramped" not in virsh(beta, "list", "--all", "--name")
    finally:
        inside(beta, ["sh", "-c", "umount /srv/tiny && rmdir /srv/tiny"])
