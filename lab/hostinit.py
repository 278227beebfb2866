"""First process of a practice host: mounts, daemons, and reaping.

Runs as `python3 -m lab.hostinit STATE_DIR NAME` in fresh mount, UTS and PID
namespaces inside the host's network namespace. When it ends the kernel ends
every process of the host and drops its mounts.
"""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

from lab.hostconf import BOUND
from lab.hostdisk import MOUNT_OPTIONS, SIZES
from lab.kernel import folder as kernel_folder
from lab.layout import CACHE

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
RESTART_PAUSE = 1.0
"""Seconds before a daemon that ended is started again, as systemd would."""


def mount(*words: str) -> None:
    """Call mount(8); the host can't be without any of its mounts."""
    subprocess.run(["mount", *words], check=True, timeout=60)


def mount_all(state: Path) -> None:
    """Cover the machine's folders with the host's own."""
    mount("-t", "proc", "proc", "/proc")
    # The machine's /sys shows its own network cards, and libvirt looks there for br0.
    mount("-t", "sysfs", "sysfs", "/sys")
    for folder, mode in (("/run", "0755"), ("/tmp", "1777"), ("/var/tmp", "1777")):
        mount("-t", "tmpfs", "-o", f"mode={mode},size=256m", "tmpfs", folder)
    for name in ("lock", "sshd", "libvirt"):
        Path("/run", name).mkdir()
    for name in (*BOUND, "root", "srv", "etc/hostname", "etc/hosts", "etc/machine-id"):
        if Path("/", name).exists():
            mount("--bind", str(state / name), f"/{name}")
    dbus = Path("/var/lib/dbus/machine-id")  # a link to the other one, or a file of its own
    if dbus.is_file() and not dbus.is_symlink():
        mount("--bind", str(state / "etc/machine-id"), str(dbus))
    mount("--bind", str(state / "etc/shadow"), "/etc/shadow")
    mount("--bind", str(state / "bin/smartctl"), "/usr/sbin/smartctl")
    for name in SIZES:
        mount("-o", MOUNT_OPTIONS, str(state / f"{name}.ext4"), f"/srv/{name}")


def give_kvm(device: Path = Path("/dev/kvm")) -> None:
    """Give /dev/kvm, where there is one, the owner and mode that udev gives it.

    Left to root alone, libvirt on beta sees KVM when it asks QEMU and not when it looks
    as libvirt-qemu, distrusts its cached answer and asks again, for 15 s at every start.
    """
    if device.is_char_device():
        node = Path("/run/kvm")
        os.mknod(node, stat.S_IFCHR, device.stat().st_rdev)
        shutil.chown(node, "root", "kvm")
        node.chmod(0o660)
        mount("--bind", str(node), str(device))


def give_kernel(kernel: Path, cache: Path) -> None:
    """Show a kernel and its modules where a host has them: libguestfs boots its appliance with
    them. What it builds stays in the lab's cache, for every host that comes after.

    Where the machine has no /lib/modules (a container), /usr/lib is shown with one.
    """
    mount("--bind", "-o", "ro", str(kernel / "boot"), "/boot")
    if Path("/lib/modules").is_dir():
        mount("--bind", "-o", "ro", str(kernel / "lib/modules"), "/lib/modules")
    else:
        layers = f"ro,lowerdir={kernel / 'lib'}:/usr/lib"
        mount("-t", "overlay", "-o", layers, "overlay", "/usr/lib")
    place = Path("/var/tmp/.guestfs-0")
    for path in (cache, place):
        path.mkdir(parents=True, exist_ok=True)
    mount("--bind", str(cache), str(place))


def commands(state: Path) -> dict[str, list[str]]:
    """The host's daemons, in the order of their start."""
    return {
        "sshd": ["/usr/sbin/sshd", "-D", "-e", "-f", str(state / "sshd_config")],
        "virtlogd": ["/usr/sbin/virtlogd"],
        "libvirtd": ["/usr/sbin/libvirtd", "--timeout", "0"],
    }


def start(name: str, argv: list[str], logs: Path) -> int:
    """Start a daemon with its output in the host's log folder; return its pid."""
    with (logs / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    return process.pid


def watch(state: Path) -> None:
    """Reap for ever; start a daemon again that ended."""
    daemons = commands(state)
    running = {start(name, argv, state): name for name, argv in daemons.items()}
    while True:
        pid, _ = os.wait()
        name = running.pop(pid, None)
        if name:
            time.sleep(RESTART_PAUSE)
            running[start(name, daemons[name], state)] = name


def main(state: Path, name: str) -> None:
    """Become the host ``name`` with its files in ``state``."""
    socket.sethostname(name)
    os.chdir("/")
    os.environ.clear()
    os.environ.update(PATH=PATH, HOME="/root", LANG="C.UTF-8")
    mount_all(state)
    give_kvm()
    try:
        give_kernel(kernel_folder(), CACHE / "guestfs")
    except (
        subprocess.CalledProcessError
    ) as error:  # a host without an appliance is one all the same
        print(f"no kernel for an appliance: {error}", file=sys.stderr)
    watch(state)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
