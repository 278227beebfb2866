"""Which mount holds a path, and where images may lie."""

from collections.abc import Collection, Iterable
from pathlib import PurePosixPath

# What lies below these a host itself acts on, or its people do; images have no business there.
_SYSTEM = frozenset({
    "bin", "boot", "dev", "etc", "home", "lib", "lib32", "lib64", "libx32", "lost+found", "opt",
    "proc", "root", "run", "sbin", "snap", "sys", "tmp", "usr", "var",
})  # fmt: skip


def may_hold_images(folder: str, known: Collection[str]) -> bool:
    """Whether a folder that another host or a store names may get images on a host. `known` are the
    folders in which that host has images itself."""
    pure = PurePosixPath(folder)
    if folder in known:
        return True
    plain = pure.is_absolute() and folder.isprintable() and not folder.startswith("//")
    hidden = any(part.startswith(".") for part in pure.parts)
    return plain and not hidden and len(pure.parts) > 1 and pure.parts[1] not in _SYSTEM


def holder(path: str, mounts: Iterable[tuple[str, int]]) -> int | None:
    """The id of the mount (mount point, id) that lies deepest above `path`; None without one."""
    above = [(len(point), key) for point, key in mounts if _is_under(path, point)]
    return max(above)[1] if above else None


def _is_under(path: str, mount_point: str) -> bool:
    return path == mount_point or path.startswith(mount_point.rstrip("/") + "/")
