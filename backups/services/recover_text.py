"""RECOVER.txt: how to bring a generation back by hand, without this panel."""

import shlex
from typing import Any

_TEXT = """\
{name}, as of {taken_at} ({consistency}), from the host {host}
{line}
This directory holds everything: one qcow2 image for each disk, the VM's definition in domain.xml,
and manifest.json with the SHA-256 of each file. It needs QEMU and libvirt only, not labpanel.

Run these commands as root on the machine where {name} shall live, inside a copy of this directory
(or in it). They stop at the first trouble, and never write over a file that exists.

set -eu
# 1. The images are whole:
{checks}
# 2. Nothing is there that would be overwritten (each line must succeed):
{absent}
# 3. Put the disks where domain.xml expects them:
{converts}{nvram}
# 4. Make the VM known, and start it. domain.xml still has its UUID and network addresses: never
#    run it while the original runs.
virsh define domain.xml
virsh start {uuid}
"""


def write(manifest: dict[str, Any]) -> str:
    """The text for one generation. Names and paths are quoted for the shell."""
    name = " ".join(str(manifest["vm"]["name"]).split())
    disks = manifest["disks"]
    nvram = manifest["nvram"]
    return _TEXT.format(
        name=name,
        line="=" * 79,
        taken_at=manifest["taken_at"],
        consistency=manifest["consistency"],
        host=manifest["host"],
        uuid=manifest["vm"]["uuid"],
        checks="\n".join(f"qemu-img check {disk['file']}" for disk in disks),
        absent="\n".join(f"test ! -e {shlex.quote(disk['source'])}" for disk in disks),
        converts="\n".join(_convert(disk) for disk in disks),
        nvram=f"\ncp -n nvram.fd {shlex.quote(nvram)}" if nvram else "",
    )


def _convert(disk: dict[str, Any]) -> str:
    path = disk["source"]
    folder = shlex.quote(path.rpartition("/")[0] or "/")
    return (
        f"mkdir -p {folder}\n"
        f"qemu-img convert -p -O {disk['source_format']} {disk['file']} {shlex.quote(path)}"
    )
