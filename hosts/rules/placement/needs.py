"""What a host still lacks, why it is wanted, and the command that installs it."""

from typing import Protocol


class HasTools(Protocol):
    """As labpanel.adapters.looks.host_facts.Tools gives them."""

    @property
    def libvirt_daemon(self) -> str: ...
    @property
    def libvirt_socket(self) -> str | None: ...
    @property
    def libvirt_allowed(self) -> bool: ...
    @property
    def qemu_img(self) -> bool: ...
    @property
    def qemu_nbd(self) -> bool: ...
    @property
    def virsh(self) -> bool: ...
    @property
    def smartctl(self) -> bool: ...
    @property
    def nbd(self) -> bool: ...
    @property
    def guestfs(self) -> bool: ...
    @property
    def user(self) -> str: ...


def missing(tools: HasTools) -> list[dict[str, str]]:
    """`[{"what", "why", "command"}]`, the most important first. Commands are Debian's."""
    there = bool(tools.libvirt_daemon or tools.libvirt_socket)
    wanted = (
        (there, "libvirt", "it runs the VMs", "libvirt-daemon-system"),
        (
            tools.qemu_img and tools.qemu_nbd,
            "qemu-img and qemu-nbd",
            "backups and moves read and write images with them",
            "qemu-utils",
        ),
        (tools.virsh, "virsh", "it guards a VM while it is backed up", "libvirt-clients"),
        (tools.nbd, "Python's nbd module", "backups read disks through it", "python3-libnbd"),
        (tools.smartctl, "smartctl", "it reads the drives' health", "smartmontools"),
        (
            tools.guestfs,
            "libguestfs",
            "rehearsals look into copies of VMs without a guest agent with it",
            "python3-guestfs",
        ),
    )
    sudo = "" if tools.user == "root" else "sudo "
    lacks = [
        {"what": what, "why": why, "command": f"{sudo}apt install {package}"}
        for has, what, why, package in wanted
        if not has
    ]
    if tools.libvirt_daemon and not tools.libvirt_socket:
        lacks.insert(0, _not_running(f"{sudo}systemctl enable --now {tools.libvirt_daemon}"))
    if tools.libvirt_socket and not tools.libvirt_allowed:
        lacks.insert(0, _no_access(tools.user))
    return lacks


def without_python() -> list[dict[str, str]]:
    return [
        {
            "what": "Python 3",
            "why": "the panel's look at the host runs in it",
            "command": "apt install python3",
        }
    ]


def _not_running(command: str) -> dict[str, str]:
    return {
        "what": "a running libvirt",
        "why": "it is installed but not started",
        "command": command,
    }


def _no_access(user: str) -> dict[str, str]:
    return {
        "what": "access to libvirt",
        "why": f"the user {user} may not open its socket",
        "command": f"sudo usermod -aG libvirt {user}",
    }
