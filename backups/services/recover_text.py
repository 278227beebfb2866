"""RECOVER.txt: how to bring a generation back by hand, without this panel."""

import shlex
from collections.abc import Sequence
from typing import Any

_TEXT = """\
{name}, as of {taken_at} ({consistency}), from the host {host}
{line}
{whole}

Run these commands as root on the machine where {name} shall live, inside this directory or a copy
of it. They stop at the first trouble, and never write over a file that exists.

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


_ALONE = """\
This directory holds everything: one qcow2 image for each disk, the VM's definition in domain.xml,
and manifest.json with the SHA-256 of each file. It needs QEMU and libvirt only, not labpanel."""

_CHAINED = """\
This directory holds one qcow2 image for each disk with what changed since an older generation, the
VM's definition in domain.xml, and manifest.json with the SHA-256 of each file. It needs QEMU and
libvirt only, not labpanel. What did not change lies in these directories, which must stand beside
this one (copy them too, under the same names):
{needed}
Those are the ones from the day of this backup; pruning may have merged some since. What is needed
now is listed by: qemu-img info --backing-chain {file}"""


def write(manifest: dict[str, Any], needed: Sequence[str] = ()) -> str:
    """The text for one generation, whose images are read through those of the generations `needed`.
    Names and paths are quoted for the shell."""
    name = " ".join(str(manifest["vm"]["name"]).split())
    disks = manifest["disks"]
    nvram = manifest["nvram"]
    return _TEXT.format(
        name=name,
        line="=" * 79,
        whole=_whole(manifest, needed),
        taken_at=manifest["taken_at"],
        consistency=manifest["consistency"],
        host=manifest["host"],
        uuid=manifest["vm"]["uuid"],
        checks="\n".join(f"qemu-img check {disk['file']}" for disk in disks),
        absent="\n".join(f"test ! -e {shlex.quote(disk['source'])}" for disk in disks),
        converts="\n".join(_convert(disk) for disk in disks),
        nvram=f"\ncp -n nvram.fd {shlex.quote(nvram)}" if nvram else "",
    )


def _whole(manifest: dict[str, Any], needed: Sequence[str]) -> str:
    if not needed:
        return _ALONE
    file = next(disk["file"] for disk in manifest["disks"] if disk["parent"])
    return _CHAINED.format(needed="\n".join(f"    ../{key}" for key in needed), file=file)


def _convert(disk: dict[str, Any]) -> str:
    path = disk["source"]
    folder = shlex.quote(path.rpartition("/")[0] or "/")
    return (
        f"mkdir -p {folder}\n"
        f"qemu-img convert -p -O {disk['source_format']} {disk['file']} {shlex.quote(path)}"
    )
