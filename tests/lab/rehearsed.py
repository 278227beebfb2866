"""Rehearsals on a practice host: the domain that boots, and what is left afterwards."""

from lab.layout import Host
from lab.virsh import inside, virsh


def rehearsed(host: Host) -> str:
    names = virsh(host, "list", "--name").split()
    return next((name for name in names if name.startswith("labpanel-rehearsal-")), "")


def traces(host: Host) -> str:
    """What is left of any rehearsal: domains, overlays, sockets, servers."""
    look = "find /srv/images /run/libvirt /var/lib/libvirt/images -name '*labpanel-*' 2>/dev/null;"
    found: str = inside(host, ["sh", "-c", f"{look} pgrep -a qemu-nbd"], check=False).stdout
    return rehearsed(host) + found


def fingerprint(host: Host, folder: str) -> str:
    """Content, size, owner, mode and both stamps of every file of a generation."""
    look = "sha256sum ./* ; stat -c '%n %s %u %g %a %Y %Z %i' ./*"
    done: str = inside(host, ["sh", "-c", f"cd {folder} && {look}"]).stdout
    return done
