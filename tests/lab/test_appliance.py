"""Guests without an agent: their copies' disks opened by libguestfs's appliance on a real host."""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lab import recipe
from lab.guestxml import Disk, Guest, domain_xml, path_of
from lab.layout import Host
from lab.state import Lab
from lab.virsh import define, inside
from tests.lab.asking import folder_of, job, vm_of
from tests.lab.panels import Panel
from tests.lab.rehearsed import fingerprint, traces
from tests.lab.vms import remove_vm
from tests.lab.workers import kill_long_workers

Eventually = Callable[..., Any]
AGENT_PORT = (
    "    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>\n"
)
FSTAB = "LABEL=guest-home /home ext4 noatime 0 2\\n"
FILES = 40
# The system disk of `home` without its agent, and with a table of its file systems.
SILENCE = f"""
qemu-img convert -O raw "$1" "$2"
start=$(sfdisk -J "$2" | sed -n 's/.*"start": *\\([0-9]*\\).*/\\1/p' | head -n 1)
mkdir -p /run/silent
mount -o loop,offset=$((start * 512)) "$2" /run/silent
rm /run/silent/usr/sbin/qemu-ga
sed -i /qemu-ga/d /run/silent/etc/inittab
printf '{FSTAB}' >/run/silent/etc/fstab
umount /run/silent
rmdir /run/silent
"""
FILL = f"""
mkdir -p /run/filled
mount -o loop "$1" /run/filled
for number in $(seq {FILES}); do echo "$number" >"/run/filled/$number"; done
umount /run/filled
rmdir /run/filled
"""
EMPTY = """
mkdir -p /run/filled
mount -o loop "$1" /run/filled
rm -f /run/filled/[0-9]*
umount /run/filled
rmdir /run/filled
"""


def shell(host: Host, program: str, *words: str) -> str:
    done: str = inside(host, ["sh", "-euc", program, "sh", *words], timeout=120).stdout
    return done


@pytest.fixture(scope="module")
def beta(lab: Lab) -> Host:
    return lab.layout.host("beta")


@pytest.fixture(scope="module")
def silent(lab: Lab) -> Iterator[tuple[Host, Guest]]:
    """Images of a VM like home without an agent, shut off; its /home holds FILES files."""
    alpha = lab.layout.host("alpha")
    disks = (Disk("vda", "raw", "silent-vda.raw"), Disk("vdb", "raw", "silent-vdb.raw"))
    guest = Guest(name="silent", octet=0, memory_mib=160, disks=disks, starts=False)
    system, data = map(path_of, disks)
    shell(alpha, SILENCE, str(recipe.cached() / "home-vda.qcow2"), system)
    inside(alpha, ["truncate", "-s", "192M", data])
    inside(alpha, ["mkfs.ext4", "-q", "-b", "1024", "-L", "guest-home", data])
    shell(alpha, FILL, data)
    define(alpha, domain_xml(lab.layout, guest).replace(AGENT_PORT, ""))
    try:
        yield alpha, guest
    finally:
        remove_vm(lab, "alpha", guest.name)
        inside(alpha, ["rm", "-f", "--", system, data])


@pytest.fixture(scope="module")
def kept(panel: Panel, silent: tuple[Host, Guest]) -> str:
    """A generation of it, in the store on beta."""
    until = time.monotonic() + 60
    while vm_of(panel, silent[1].name) is None and time.monotonic() < until:
        time.sleep(1)
    return backed_up(panel)


def backed_up(panel: Panel) -> str:
    key: str = panel.json("backup", "silent", "--store", "far")["generation"]
    return key


def appliances(host: Host) -> str:
    """QEMU, and what of libguestfs is left on a host besides what it built once."""
    look = "pgrep -af '[g]uestfs-' | cut -c 1-300; find /tmp /run -name '*guestfs*'"
    found: str = inside(host, ["sh", "-c", look], check=False).stdout
    return found


@pytest.mark.timeout(500)
def test_a_guest_without_an_agent_passes_by_its_console_and_its_disks(
    panel: Panel, beta: Host, kept: str
) -> None:
    folder = folder_of(panel, kept)
    before = fingerprint(beta, folder)
    outcome = panel.json("rehearse", kept)
    checks = {check["what"]: check for check in outcome["checks"]}
    assert outcome["passed"] is True
    for what in ("The guest comes up", "Disk vda", "Disk vdb", "File system /"):
        assert checks[what]["passed"] is True
    assert "ext4 on vda1" in checks["File system /"]["seen"]
    assert "ext4 on vdb" in checks["File system /home"]["seen"]
    assert f"{FILES} files, the newest from " in checks["Files in /home"]["seen"]
    assert fingerprint(beta, folder) == before
    assert traces(beta) + appliances(beta) == ""


@pytest.mark.timeout(500)
def test_a_killed_worker_leaves_no_appliance(
    panel: Panel, eventually: Eventually, beta: Host, kept: str
) -> None:
    number: int = panel.json("rehearse", kept, "--no-wait")["job"]
    eventually(lambda: appliances(beta), "the appliance starts", 120)
    assert kill_long_workers(panel)
    until = time.monotonic() + 60
    while appliances(beta) and time.monotonic() < until:
        time.sleep(1)
    assert appliances(beta) == ""  # before anything is settled
    eventually(lambda: job(panel, number)["state"] == "lost", "it is settled", 120)
    eventually(lambda: traces(beta) == "", "nothing is left", 60)


@pytest.mark.timeout(500)
def test_an_emptied_home_fails_by_name(panel: Panel, silent: tuple[Host, Guest]) -> None:
    alpha, guest = silent
    with contextlib.ExitStack() as stack:
        stack.callback(shell, alpha, FILL, path_of(guest.disks[1]))
        shell(alpha, EMPTY, path_of(guest.disks[1]))
        hollow = panel("rehearse", backed_up(panel), ok=False)
    assert hollow.returncode == 1
    assert "failed its rehearsal on beta. Files in /home" in hollow.stderr
    assert "/home is a file system of its own and is empty" in hollow.stderr


@pytest.mark.timeout(500)
def test_a_file_system_without_its_superblock_fails_by_name(
    panel: Panel, silent: tuple[Host, Guest]
) -> None:
    alpha, guest = silent
    data = path_of(guest.disks[1])
    shell(alpha, 'dd if=/dev/zero of="$1" bs=1024 count=2 conv=notrunc status=none', data)
    try:
        broken = panel("rehearse", backed_up(panel), ok=False)
    finally:
        inside(alpha, ["mkfs.ext4", "-q", "-F", "-b", "1024", "-L", "guest-home", data])
    assert broken.returncode == 1
    assert "its first superblock is gone" in broken.stdout
    assert "File system /home" in broken.stdout
    assert "failed its rehearsal on beta. File system" in broken.stderr
