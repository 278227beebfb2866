"""Which images must be merged so that generations can go. Standard library only, and pure.

Each disk has chains of its own: its image in a generation backs on the one in a parent, or on
none. A kept image that backs on a dropped one needs a merge, down to the next kept one, or, if
there is none, into the oldest. Keys of generations begin with their time, and sort by it.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from labpanel.lib.store_format.manifest import DiskEntry, Manifest
from labpanel.onhost.runtime.wire import Problem

Manifests = Mapping[str, Manifest]


@dataclass(frozen=True)
class Merge:
    """`child` stays, the generations in `over` go, nearest first; what is below them is `parent`,
    or "" if nothing is."""

    target: str
    child: str
    over: tuple[str, ...]
    parent: str

    @property
    def base(self) -> str:
        """The one at the bottom of those that go."""
        return self.over[-1]


def plan(listed: Manifests, drop: Collection[str]) -> tuple[list[Merge], list[Merge]]:
    """Rebuilds, which leave everything else as it is, and commits into the image of the oldest,
    which come after all of them. `listed` holds the manifests of all generations, the dropped ones
    too."""
    rebuilds: list[Merge] = []
    commits: list[Merge] = []
    for target in sorted({disk.target for one in listed.values() for disk in one.disks}):
        by_base: dict[str, list[Merge]] = {}
        for merge in _needed(listed, drop, target):
            if merge.parent:
                rebuilds.append(merge)
            else:
                by_base.setdefault(merge.base, []).append(merge)
        for first, *others in by_base.values():
            # Only one can take the place of the oldest; the younger ones go on top of it.
            rebuilds += [Merge(target, one.child, one.over, first.child) for one in others]
            (commits if _same_size(listed, first) else rebuilds).append(first)
    return rebuilds, commits


def _needed(listed: Manifests, drop: Collection[str], target: str) -> Iterator[Merge]:
    parents = {
        key: disk.parent
        for key, manifest in listed.items()
        for disk in manifest.disks
        if disk.target == target
    }
    for child in sorted(parents):
        if child in drop or parents[child] not in drop:
            continue
        over, at = [], parents[child]
        while at in drop:
            if at not in parents or at in over:
                raise Problem(
                    "damaged", f"{target} of generation {child} is based on {at}, which is missing."
                )
            over.append(at)
            at = parents[at]
        if at and at not in parents:
            raise Problem(
                "damaged", f"Generation {at}, which {target} of {child} needs, is damaged."
            )
        yield Merge(target, child, tuple(over), at)


def _same_size(listed: Manifests, merge: Merge) -> bool:
    child, base = (disk_of(listed[key], merge.target) for key in (merge.child, merge.base))
    return child.virtual_bytes == base.virtual_bytes


def disk_of(manifest: Manifest, target: str) -> DiskEntry:
    """A disk's entry in a manifest. Raises Problem where there is none."""
    disk = manifest.disk(target)
    if disk is None:
        raise Problem("damaged", f"Generation {manifest.generation} does not hold {target}.")
    return disk


def stored_bytes(listed: Manifests, merge: Merge) -> int:
    """What the images that are merged take: all that the new one can hold comes from them."""
    keys = (merge.child, *merge.over)
    return sum(disk_of(listed[key], merge.target).file_bytes for key in keys)
