"""RECOVER.txt: how to bring a generation back by hand, without this panel."""

import shlex
import textwrap
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from backups.rules.backup.left_out import sentence
from labpanel.lib.kept_files import BOOT
from labpanel.lib.store_format.manifest import DiskEntry, Manifest

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
{converts}{beside}
# 4. Make the VM known, and start it. domain.xml still has its UUID and network addresses: never
#    run it while the original runs.
virsh define domain.xml
virsh start {uuid}
"""


_ALONE = """\
This directory holds {all}one qcow2 image for each disk, the VM's definition in domain.xml,
manifest.json with the SHA-256 of each file{beside}.
It needs QEMU and libvirt only, not labpanel."""

_CHAINED = """\
This directory holds one qcow2 image for each disk with what changed since an older generation, the
VM's definition in domain.xml, manifest.json with the SHA-256 of each file{beside}.
It needs QEMU and libvirt only, not labpanel. What did not change lies in these directories, which
must stand beside this one (copy them too, under the same names):
{needed}
Those are the ones from the day of this backup; pruning may have merged some since. What is needed
now is listed by: qemu-img info --backing-chain {file}"""

_NOT_IN_IT = """

It does not hold everything that {name} had:
{lacks}"""
_WIDE = 96


def write(
    manifest: Manifest,
    needed: Sequence[str] = (),
    beside: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """The text for one generation, whose images are read through those of the generations `needed`;
    `beside` gives its other files the places where domain.xml expects them. Names and paths are
    quoted for the shell."""
    name = " ".join(manifest.vm_name.split())
    disks = manifest.disks
    absent = [f"test ! -e {shlex.quote(disk.source)}" for disk in disks]
    return _TEXT.format(
        name=name,
        line="=" * 79,
        whole=_whole(manifest, needed, beside) + _lacking(name, manifest),
        taken_at=manifest.taken_at.isoformat(),
        consistency=manifest.consistency,
        host=manifest.host,
        uuid=manifest.vm_uuid,
        checks="\n".join(f"qemu-img check {disk.file}" for disk in disks),
        absent="\n".join([*absent, *(_free(*one) for one in beside.items())]),
        converts="\n".join(_convert(disk) for disk in disks),
        beside="".join(f"\n{_copy(*one)}" for one in beside.items()),
    )


def _whole(manifest: Manifest, needed: Sequence[str], beside: Mapping[str, str]) -> str:
    others = f", and {', '.join(beside)}" if beside else ""
    if not needed:
        every = "" if manifest.left_out else "everything: "
        return _ALONE.format(all=every, beside=others)
    file = next(disk.file for disk in manifest.disks if disk.parent)
    listed = "\n".join(f"    ../{key}" for key in needed)
    return _CHAINED.format(needed=listed, file=file, beside=others)


def _lacking(name: str, manifest: Manifest) -> str:
    """What is not in the copy, in the words that pages use."""
    lacks = [sentence(one) for one in manifest.left_out or ()]
    if not lacks:
        return ""
    told = [textwrap.fill(f"- {each}", _WIDE, subsequent_indent="  ") for each in lacks]
    return _NOT_IN_IT.format(name=name, lacks="\n".join(told))


def _convert(disk: DiskEntry) -> str:
    path = disk.source
    image = f"qemu-img convert -p -O {disk.source_format} {disk.file} {shlex.quote(path)}"
    return f"{_folder(path)}\n{image}"


def _free(file: str, path: str) -> str:
    """That nothing is in the way of a file; a kernel may lie there already, if it is the same."""
    place = shlex.quote(path)
    return f"test ! -e {place} || cmp {file} {place}" if file in BOOT else f"test ! -e {place}"


def _copy(file: str, path: str) -> str:
    """libvirt itself gives the state of a TPM to swtpm's user when the VM is started."""
    place = shlex.quote(path)
    return f"{_folder(path)}\ntest -e {place} || cp {file} {place}"


def _folder(path: str) -> str:
    return f"mkdir -p {shlex.quote(path.rpartition('/')[0] or '/')}"
