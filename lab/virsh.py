"""Talk to a host's libvirtd through virsh inside the host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab import namespace
from lab.commands import run

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence

    from lab.layout import Host

DEADLINE = 60.0
"""Seconds for one libvirt call; a machine under load takes up to 10 to start a guest."""


def inside(
    host: Host,
    argv: Sequence[str],
    *,
    check: bool = True,
    timeout: float = DEADLINE,
    text_in: str | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run ``argv`` on ``host``; like `commands.run`."""
    return run([*namespace.enter(host), *argv], check=check, timeout=timeout, text_in=text_in)


def virsh(host: Host, *words: str, check: bool = True, timeout: float = DEADLINE) -> str:
    """Run one virsh command on ``host`` and return what it printed."""
    return inside(host, ["virsh", "-q", *words], check=check, timeout=timeout).stdout


def define(host: Host, xml: str) -> None:
    """Define a domain from its XML."""
    inside(host, ["virsh", "-q", "define", "/dev/stdin"], text_in=xml)


def domains(host: Host, *options: str) -> list[str]:
    """Names of the host's domains; `--state-running` and the like choose."""
    return virsh(host, "list", "--name", *(options or ("--all",))).split("\n")[:-1]


def states(host: Host) -> dict[str, str]:
    """All domains of the host by name, with virsh's word for their state."""
    found = {
        name: virsh(host, "domstate", "--domain", name, check=False).strip()
        for name in domains(host)
    }
    return {name: state for name, state in found.items() if state}  # one may have ended meanwhile
