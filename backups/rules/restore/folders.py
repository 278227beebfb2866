"""In which folder of a host the images of a VM belong that comes back there. Pure.

A folder that one other VM has for itself comes last, and never where it bears that VM's name: its
owner would not look there, and removing that VM would remove the folder, too.
"""

from collections.abc import Collection, Mapping, Sequence
from itertools import groupby
from pathlib import PurePosixPath

DEFAULT = "/var/lib/libvirt/images"
# A folder in which so many VMs have images is one for images, and no VM's own.
_SHARED_BY = 2


def ranked(
    own: Sequence[str],
    before: Sequence[str],
    pools: Sequence[str],
    used: Mapping[str, Collection[str]],
) -> list[list[str]]:
    """Groups of folders, the best first; in a group, room decides. `own` hold images of this very
    VM on the host, `before` held them on the host of its backup, `pools` are libvirt's storage
    pools, `used` names the VMs that have images in each folder of the host."""
    places = {path for path in pools if not path.startswith("/dev/")}
    places |= {path for path, vms in used.items() if len(vms) >= _SHARED_BY}

    def users(path: str) -> int:
        return len(used.get(path, ()))

    by_use = sorted(places, key=lambda path: (-users(path), path))
    shared = [list(group) for _, group in groupby(by_use, key=users)]
    groups = [sorted(set(own)), sorted(set(before)), *shared, [DEFAULT], sorted(lonely(used))]
    return [group for group in groups if group]


def lonely(used: Mapping[str, Collection[str]]) -> list[str]:
    """Folders of a single VM that do not look like its own."""
    return [path for path, vms in used.items() if len(vms) == 1 and not _named(path, *vms)]


def _named(path: str, vm: str) -> bool:
    """Whether the folder, or one above it, is called like the VM."""
    plain = _letters(vm)
    return any(plain and plain == _letters(part) for part in PurePosixPath(path).parts)


def _letters(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum())
