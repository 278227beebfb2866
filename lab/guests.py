"""Put the guests on alpha: disks from the cache, definitions, first start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab import agent, recipe, saved
from lab.guestxml import GUESTS, IMAGES, Disk, Guest, domain_xml, path_of
from lab.virsh import define, domains, inside, virsh

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lab.layout import Host, Layout

FIRST_HOST = "alpha"
BOOT = 180.0
"""Seconds for a guest's boot; about 8 on an idle machine."""

ODD_NAMES = ("quo\"te's", "<b>bold<b>", "$(touch pwned)", "two words", "日本語")
"""Names that libvirt accepts and careless programs stumble over."""

ODD_BYTES = 8 << 20


def _seeded(layout: Layout) -> Path:
    """Marker that the guests are in place; from then on they are left alone."""
    return layout.state_dir / "seeded"


def _copy_disks(layout: Layout, guest: Guest, places: Sequence[Path]) -> None:
    """Copy the guest's images into the host, each in one step, from the first place that has it."""
    script = (
        'part="$2.$$.partial"; test -e "$2" || { cp --sparse=always "$1" "$part" && '
        'chmod 600 "$part" && mv "$part" "$2"; }'
    )
    host = layout.host(FIRST_HOST)
    for disk in guest.disks:
        source = next(place / disk.file for place in places if (place / disk.file).is_file())
        inside(host, ["sh", "-c", script, "sh", str(source), path_of(disk)], timeout=120)


def seed(layout: Layout) -> None:
    """Put the guests on the first host, once, and wait until they run: from where they were saved
    after an earlier boot, else by booting them."""
    if _seeded(layout).exists():
        return
    cache, host = recipe.cached(), layout.host(FIRST_HOST)
    kept = saved.folder(layout)
    # What a killed `up` left may have moved on from the instant that the memory belongs to.
    fresh = not domains(host) and kept.is_dir()
    places = [kept, cache] if fresh else [cache]
    for guest in GUESTS:
        _copy_disks(layout, guest, places)
        define(host, domain_xml(layout, guest))
    gone_on = [guest for guest in saved.starting() if fresh and saved.go_on(host, guest, kept)]
    _boot(host, [guest for guest in saved.starting() if guest not in gone_on])
    if not kept.is_dir():
        saved.keep(layout, host)
    _seeded(layout).touch()


def _boot(host: Host, guests: Sequence[Guest]) -> None:
    """Start the guests that are off, and wait for all of them."""
    for guest in guests:
        if guest.name not in domains(host, "--state-running"):
            virsh(host, "start", "--domain", guest.name)
    for guest in guests:
        agent.await_agent(host, guest.name, timeout=BOOT)


def define_odd(layout: Layout) -> None:
    """Define VMs with odd names on the first host: shut off, one tiny disk each."""
    host = layout.host(FIRST_HOST)
    known = set(domains(host))
    for number, name in enumerate(ODD_NAMES):
        disk = Disk("vda", "qcow2", f"odd-{number}.qcow2")
        guest = Guest(name=name, octet=0, memory_mib=64, disks=(disk,), starts=False)
        if name not in known:
            create = ["qemu-img", "create", "-q", "-f", "qcow2", path_of(disk), str(ODD_BYTES)]
            inside(host, create)
            pattern = ["qemu-io", "-c", f"write -q -P {number + 65} 1M 1M", path_of(disk)]
            inside(host, pattern)
            define(host, domain_xml(layout, guest))


def start_threaded(layout: Layout) -> str:
    """Start a VM `threaded` on the first host whose only disk has an iothread.

    There is no system on it: its firmware waits. QEMU 7.2.14 to 9.0 dies when such a
    disk is read by a pull backup, so a panel must refuse to. Returns the VM's name.
    """
    host = layout.host(FIRST_HOST)
    disk = Disk("vda", "qcow2", "threaded-vda.qcow2", iothread=True)
    guest = Guest(name="threaded", octet=0, memory_mib=64, disks=(disk,), starts=True)
    if guest.name not in domains(host):
        create = ["qemu-img", "create", "-q", "-f", "qcow2", path_of(disk), str(ODD_BYTES)]
        inside(host, create)
        define(host, domain_xml(layout, guest))
        virsh(host, "start", "--domain", guest.name)
    return guest.name


def add_disk(layout: Layout, host_name: str, domain: str, target: str = "vdz") -> str:
    """Plug a new 64 MiB disk into a domain, live too if it runs; return the image's path."""
    host = layout.host(host_name)
    path = f"{IMAGES}/{domain}-{target}.qcow2"
    inside(host, ["qemu-img", "create", "-q", "-f", "qcow2", path, str(64 << 20)])
    words = ["--domain", domain, "--source", path, "--target", target]
    running = domain in domains(host, "--state-running")
    scope = ["--live", "--config"] if running else ["--config"]
    virsh(host, "attach-disk", *words, "--subdriver", "qcow2", "--targetbus", "virtio", *scope)
    return path
