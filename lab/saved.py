"""The guests as they were right after their first boot: later labs go on from there.

A folder of the cache holds, for each guest that starts, its memory (`virsh save`) and its disks of
that instant. Its name tells all that the memory depends on: the lab's number (addresses, MACs), the
guests' files and definitions, and the versions of QEMU and libvirt. The folder may be missing or of
no use at any time: then the guests boot.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from typing import TYPE_CHECKING

from lab import agent, recipe
from lab.commands import LabError, run
from lab.guestxml import GUESTS, domain_xml, path_of
from lab.layout import CACHE
from lab.virsh import inside, virsh

if TYPE_CHECKING:
    from pathlib import Path

    from lab.guestxml import Guest
    from lab.layout import Host, Layout

ANSWERS = 60.0
"""Seconds for the agent of a guest that goes on."""

SLOW = 300.0
"""Seconds for writing or reading a guest's memory and copying its disks."""

PROGRAMS = ("qemu-system-x86_64", "libvirtd")


def starting() -> list[Guest]:
    """The guests that run in a fresh lab."""
    return [guest for guest in GUESTS if guest.starts]


def folder(layout: Layout) -> Path:
    """Where the guests of a lab with this number are kept; it need not exist."""
    digest = hashlib.sha256(recipe.fingerprint().encode())
    for guest in starting():
        digest.update(domain_xml(layout, guest).encode())
    for program in PROGRAMS:
        digest.update(run([program, "--version"]).stdout.encode())
    return CACHE / f"saved-{layout.number}-{digest.hexdigest()[:16]}"


def memory(place: Path, guest: Guest) -> Path:
    """The file with a guest's memory."""
    return place / f"{guest.name}.memory"


def keep(layout: Layout, host: Host) -> None:
    """Save the running guests into the cache, and let them go on. A failure leaves no folder, and
    the guests running."""
    place = folder(layout)
    for old in CACHE.glob(f"saved-{layout.number}-*"):
        shutil.rmtree(old, ignore_errors=True)
    partial = place.with_suffix(".partial")
    partial.mkdir(mode=0o700)
    try:
        for guest in starting():
            _save(host, guest, partial)
    except LabError:
        shutil.rmtree(partial, ignore_errors=True)
    else:
        partial.rename(place)


def _save(host: Host, guest: Guest, place: Path) -> None:
    """Save one guest, copy its disks while it stands still, and let it go on."""
    state = str(memory(place, guest))
    try:
        virsh(host, "save", "--domain", guest.name, "--file", state, timeout=SLOW)
        sources = [path_of(disk) for disk in guest.disks]
        inside(host, ["cp", "--sparse=always", *sources, str(place)], timeout=SLOW)
        virsh(host, "restore", "--file", state, timeout=SLOW)
        agent.await_agent(host, guest.name, timeout=ANSWERS)
    except LabError:
        virsh(host, "start", "--domain", guest.name, check=False)
        raise


def go_on(host: Host, guest: Guest, place: Path) -> bool:
    """Let a defined guest go on from where it was saved; False if it could not, and is off."""
    try:
        virsh(host, "restore", "--file", str(memory(place, guest)), timeout=SLOW)
        agent.await_agent(host, guest.name, timeout=ANSWERS)
        clock = ["/bin/busybox", "date", "-s", f"@{time.time():.0f}"]
        if agent.run_in_guest(host, guest.name, clock).returncode:
            raise LabError(f"The clock of the guest {guest.name!r} cannot be set.")
    except LabError:
        virsh(host, "destroy", "--domain", guest.name, check=False)
        shutil.rmtree(place, ignore_errors=True)
        return False
    return True
