"""Real faults put into a practice host, and their repair.

| fault | what it is |
|---|---|
| readonly | an ext4 error on /srv/images: the kernel refuses all writes from then on |
| cable | the network cable is out, for the host and its guests |
| hang | libvirtd is stopped and answers nothing; the VMs run on |
| die | the power is cut: every process of the host ends at once |
| fill | a file system has no free space left |
| hang-qemu, kill-qemu | one VM's QEMU is stopped or killed |
"""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING

from lab import agent, hostdisk, hosts, namespace, network
from lab.commands import LabError, run
from lab.virsh import domains, inside, virsh

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.layout import Host, Layout

FILLER = ".filled-by-the-lab"

E2FSCK_MENDED = {0, 1, 2}
"""Exit status of e2fsck: clean, corrected, corrected and reboot advised (e2fsck(8))."""

BOOT = 120.0
"""Seconds for the guests to boot again after a repair."""


def read_only(host: Host, file_system: str = "images") -> None:
    """Put an ext4 error into /srv/``file_system``; with errors=remount-ro writes end."""
    for device in hostdisk.loops(hostdisk.file_of(host, file_system)):
        trigger = Path("/sys/fs/ext4", Path(device).name, "trigger_fs_error")
        if trigger.exists():
            trigger.write_text("fault of the practice lab\n")
            return
    raise LabError(f"/srv/{file_system} of {host.name} is not mounted.")


def _signal(host: Host, command: str, number: signal.Signals) -> None:
    found = namespace.named(host, command)
    if not found:
        raise LabError(f"{command} does not run on {host.name}.")
    for process in found:
        process.send(number)


def hang(host: Host) -> None:
    """Stop libvirtd in its tracks; connections are accepted and never answered."""
    _signal(host, "libvirtd", signal.SIGSTOP)


def die(host: Host) -> None:
    """Cut the host's power: its cable, files and VMs' definitions stay."""
    with namespace.ended(host):
        pass


def fill(host: Host, file_system: str = "store") -> None:
    """Take all free space of /srv/``file_system`` but the last 64 KiB."""
    fill_folder(host, f"/srv/{file_system}")


def fill_folder(host: Host, folder: str, *, spare: int = 64 << 10) -> None:
    """Take all free space of the file system of ``folder`` but the last ``spare`` bytes."""
    free = inside(host, ["df", "--block-size=1", "--output=avail", folder]).stdout.split()[-1]
    size = int(free) - spare
    if size > 0:
        inside(host, ["fallocate", "-l", str(size), f"{folder}/{FILLER}"])


def _qemu(host: Host, domain: str) -> namespace.Process:
    """The process of a running domain, told by its UUID on the command line."""
    identity = virsh(host, "domuuid", "--domain", domain).strip()
    for process in namespace.processes(host):
        if process.command.startswith("qemu-system"):
            words = Path(f"/proc/{process.pid}/cmdline").read_bytes().split(b"\0")
            if identity.encode() in words:
                return process
    raise LabError(f"The VM {domain!r} does not run on {host.name}.")


def kill_qemu(host: Host, domain: str) -> None:
    """Kill a VM's QEMU, as the kernel does when memory runs out."""
    _qemu(host, domain).send(signal.SIGKILL)


def hang_qemu(host: Host, domain: str) -> None:
    """Stop a VM's QEMU in its tracks; libvirt then waits for its monitor."""
    _qemu(host, domain).send(signal.SIGSTOP)


def _continue_all(host: Host) -> None:
    for process in namespace.processes(host):
        process.send(signal.SIGCONT)


def _unfill(host: Host) -> None:
    for name in hostdisk.SIZES:
        inside(host, ["rm", "-f", f"/srv/{name}/{FILLER}"], check=False)


def _resume_starved(host: Host) -> None:
    """Guests that QEMU paused when a write found no room go on. One that a move brings is paused,
    too, and may be gone before it is asked."""
    for domain in domains(host, "--state-paused"):
        words = ("domstate", "--reason", "--domain", domain)
        if "I/O error" in virsh(host, *words, check=False):
            virsh(host, "resume", "--domain", domain)


def damaged(host: Host, file_system: str) -> bool:
    """Tell whether ext4 has counted errors on /srv/``file_system``."""
    for device in hostdisk.loops(hostdisk.file_of(host, file_system)):
        counter = Path("/sys/fs/ext4", Path(device).name, "errors_count")
        if counter.exists() and int(counter.read_text()) > 0:
            return True
    return False


def _users(host: Host, folder: str) -> list[namespace.Process]:
    """Processes of the host with an open file or their working folder in ``folder``."""
    found = []
    for process in namespace.processes(host):
        base = Path(f"/proc/{process.pid}")
        try:
            links = [base / "cwd", *(base / "fd").iterdir()]
            targets = [str(link.readlink()) for link in links]
        except OSError:
            continue
        if any(target == folder or target.startswith(f"{folder}/") for target in targets):
            found.append(process)
    return found


def repair(host: Host, file_system: str) -> None:
    """Check and mount /srv/``file_system`` again; VMs that ran there are started again.

    What an administrator does: stop the VMs (with a file system that refuses
    writes they can't be shut down cleanly), unmount, e2fsck, mount, start.
    """
    folder = f"/srv/{file_system}"
    file = hostdisk.file_of(host, file_system)
    ran = domains(host, "--state-running", "--state-paused") if file_system == "images" else []
    for domain in ran:
        virsh(host, "destroy", "--domain", domain)
    for process in _users(host, folder):
        process.send(signal.SIGKILL)
    inside(host, ["umount", folder])
    hostdisk.detach(file)
    checked = run(["e2fsck", "-f", "-y", str(file)], check=False, timeout=120)
    if checked.returncode not in E2FSCK_MENDED:
        raise LabError(f"e2fsck could not mend {file}: {checked.stdout.strip()[-300:]}")
    inside(host, ["mount", "-o", hostdisk.MOUNT_OPTIONS, str(file), folder])
    for domain in ran:
        virsh(host, "start", "--domain", domain)
    for domain in ran:
        agent.await_agent(host, domain, timeout=BOOT)


def heal(layout: Layout, host: Host) -> None:
    """Undo every fault of ``host``. VMs are only started again after a repair."""
    _continue_all(host)
    hosts.start(layout, host)
    hosts.await_ready(host)
    _unfill(host)
    _resume_starved(host)
    for file_system in hostdisk.SIZES:
        if damaged(host, file_system):
            repair(host, file_system)


ON_HOST: dict[str, Callable[[Host], None]] = {
    "cable": network.unplug,
    "hang": hang,
    "die": die,
}
ON_FILE_SYSTEM: dict[str, Callable[[Host, str], None]] = {"readonly": read_only, "fill": fill}
ON_VM: dict[str, Callable[[Host, str], None]] = {"kill-qemu": kill_qemu, "hang-qemu": hang_qemu}
DEFAULT_FILE_SYSTEM = {"readonly": "images", "fill": "store"}
NAMES = (*ON_HOST, *ON_FILE_SYSTEM, *ON_VM)


def cause(host: Host, name: str, target: str | None = None) -> None:
    """Put the fault ``name`` into ``host``.

    ``target`` is a file system (images, store) or a VM's name, as the fault needs.
    """
    if name in ON_HOST:
        ON_HOST[name](host)
    elif name in ON_FILE_SYSTEM:
        file_system = target or DEFAULT_FILE_SYSTEM[name]
        if file_system not in hostdisk.SIZES:
            raise LabError(f"{host.name} has no file system /srv/{file_system}.")
        ON_FILE_SYSTEM[name](host, file_system)
    elif name in ON_VM:
        if not target:
            raise LabError(f"Say which VM: `fault {name} {host.name} VM`.")
        ON_VM[name](host, target)
    else:
        raise LabError(f"There is no fault {name!r}: choose one of {', '.join(NAMES)}.")
