"""Start and stop a practice host."""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from lab import hostconf, hostdisk, namespace, network, smart
from lab.commands import LabError, succeeds

if TYPE_CHECKING:
    from lab.layout import Host, Layout

PYTHON = "/usr/bin/python3"
"""Debian's own: a host covers /root, where other interpreters may live."""

READY_WITHIN = 45.0
"""Seconds until sshd and libvirtd must answer; about 3 on an idle machine."""


def _spawn(host: Host) -> None:
    """Start the host's first process in namespaces of its own."""
    argv = [
        "nsenter",
        f"--net={namespace.NETNS / host.namespace}",
        "unshare",
        "--mount",
        "--uts",
        "--ipc",
        "--pid",
        "--fork",
        "--kill-child",
        "--propagation=private",
        PYTHON,
        "-m",
        "lab.hostinit",
        str(host.state_dir),
        host.name,
    ]
    with (host.state_dir / "init.log").open("ab") as log:
        subprocess.Popen(
            argv,
            cwd=Path(__file__).resolve().parent.parent,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def answers_ssh(host: Host) -> bool:
    """Tell whether the host's sshd sends its banner within 2 s."""
    try:
        with socket.create_connection((host.address, 22), timeout=2) as link:
            return link.recv(4) == b"SSH-"
    except OSError:
        return False


def answers_libvirt(host: Host) -> bool:
    """Tell whether the host's libvirtd answers within 10 s."""
    try:
        return succeeds([*namespace.enter(host), "virsh", "-q", "version"], timeout=10)
    except LabError:
        return False


def running(host: Host) -> bool:
    """Tell whether the host's first process runs."""
    return namespace.init(host) is not None


def start(layout: Layout, host: Host) -> None:
    """Bring the host up as far as it is not yet; returns before it answers."""
    hostconf.write(layout, host)
    smart.install(host)
    for name in hostdisk.SIZES:
        hostdisk.make(host, name)
    network.connect(layout, host)
    if not running(host):
        with namespace.ended(host):
            pass
        _spawn(host)


def await_ready(host: Host) -> None:
    """Wait until the host answers; LabError with the end of its log if it does not."""
    end = time.monotonic() + READY_WITHIN
    while not (answers_ssh(host) and answers_libvirt(host)):
        if time.monotonic() > end:
            log = (host.state_dir / "init.log").read_text(errors="replace")[-400:].strip()
            raise LabError(
                f"The practice host {host.name} does not answer after {READY_WITHIN:g} s: {log}"
            )
        time.sleep(0.2)


def stop(host: Host) -> None:
    """End the host and everything on it; its files stay."""
    with namespace.ended(host):
        network.disconnect(host)
    for name in hostdisk.SIZES:
        hostdisk.detach(hostdisk.file_of(host, name))
