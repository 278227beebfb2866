"""Write a host's configuration files: libvirt, QEMU, sshd and its identity."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from lab.commands import run

if TYPE_CHECKING:
    from lab.layout import Host, Layout

SPACE = uuid.UUID("6f1f4dd8-5a0c-4f0e-9d7c-0b7f1a4b2f10")
"""Namespace of the labs' UUIDs, so that one name always gives the same ones."""

LIBVIRTD = """\
# Migration refuses two hosts with one UUID, which all labs of a machine would share.
host_uuid = "{uuid}"
# No polkit in here; only root reaches the socket.
auth_unix_rw = "none"
auth_unix_ro = "none"
unix_sock_rw_perms = "0700"
"""

QEMU = """\
# A container has neither AppArmor nor cgroups to give; the rest is Debian's default.
security_driver = "none"
cgroup_controllers = [ ]
namespaces = [ ]
migration_address = "{address}"
"""

QEMU_AS_ROOT = """\
user = "root"
group = "root"
remember_owner = 0
"""

SSHD = """\
ListenAddress {address}
Port 22
HostKey {state}/ssh_host_ed25519_key
AuthorizedKeysFile {state}/authorized_keys
PidFile none
# The host's own root account, whatever the machine's PAM says about its own.
UsePAM no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
AllowStreamLocalForwarding yes
AllowTcpForwarding yes
StreamLocalBindUnlink yes
MaxSessions 100
MaxStartups 200
LogLevel ERROR
PrintMotd no
PrintLastLog no
UseDNS no
Subsystem sftp internal-sftp
"""

BOUND = ("etc/libvirt", "var/lib/libvirt", "var/log/libvirt", "var/cache/libvirt")
"""The machine's folders that each host has as its own."""


def key_pair(path: Path, comment: str) -> None:
    """Make an ed25519 key pair at ``path`` if there is none."""
    if not path.exists():
        partial = path.with_suffix(".partial")
        for leftover in (partial, Path(f"{partial}.pub")):
            leftover.unlink(missing_ok=True)
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(partial)])
        Path(f"{partial}.pub").replace(f"{path}.pub")
        partial.replace(path)


def fingerprint(host: Host) -> str:
    """`SHA256:…` of the host's ssh key, as `ssh-keygen -l` and ssh print it."""
    public = host.state_dir / "ssh_host_ed25519_key.pub"
    return run(["ssh-keygen", "-l", "-E", "sha256", "-f", str(public)]).stdout.split()[1]


def _fill_libvirt(host: Host) -> None:
    """Give the host libvirt folders of its own, with Debian's settings and then ours.

    Only settings are taken from the machine: its VMs and networks are not ours to define.
    """
    for name in (*BOUND, "var/log/libvirt/qemu", "etc/libvirt/hooks", "etc/libvirt/qemu"):
        (host.state_dir / name).mkdir(parents=True, exist_ok=True)
    etc = host.state_dir / "etc/libvirt"
    for path in Path("/etc/libvirt").glob("*.conf"):
        shutil.copyfile(path, etc / path.name)
    identity = uuid.uuid5(SPACE, host.namespace)
    (etc / "libvirtd.conf").write_text(LIBVIRTD.format(uuid=identity))
    settings = QEMU.format(address=host.address)
    (etc / "qemu.conf").write_text(settings + (QEMU_AS_ROOT if host.qemu_as_root else ""))


def _fill_identity(host: Host) -> None:
    """Host name, hosts file, machine id and a root account that is not locked."""
    etc = host.state_dir / "etc"
    (etc / "hostname").write_text(f"{host.name}\n")
    (etc / "hosts").write_text(f"127.0.0.1 localhost\n127.0.1.1 {host.name}\n")
    (etc / "machine-id").write_text(uuid.uuid5(SPACE, f"{host.namespace}/id").hex + "\n")
    shadow = etc / "shadow"
    shadow.touch(mode=0o600)
    # sshd refuses an account whose password field begins with "!", even for keys.
    shadow.write_text("root:*:19000:0:99999:7:::\n")


def write(layout: Layout, host: Host) -> None:
    """Write all configuration of ``host`` into its state folder, once."""
    state = host.state_dir
    done = state / "configured"
    if done.exists():
        return
    for name in ("root", "srv/images", "srv/store", "smart", "bin"):
        (state / name).mkdir(parents=True, exist_ok=True)
    state.chmod(0o755)
    (state / "root").chmod(0o700)
    _fill_libvirt(host)
    _fill_identity(host)
    (state / "sshd_config").write_text(SSHD.format(address=host.address, state=state))
    key_pair(state / "ssh_host_ed25519_key", f"{host.namespace} host key")
    key_pair(layout.key, f"lab {layout.name}")
    authorize(host, Path(f"{layout.key}.pub").read_text())
    done.touch()


def authorize(host: Host, line: str) -> None:
    """Let the owner of the public key in ``line`` sign in to ``host`` as root."""
    path = host.state_dir / "authorized_keys"
    path.touch(mode=0o600)
    known = path.read_text().splitlines()
    if line.strip() not in known:
        path.write_text("\n".join([*known, line.strip()]) + "\n")
