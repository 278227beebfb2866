"""Which mount holds a path."""

from collections.abc import Iterable


def holder(path: str, mounts: Iterable[tuple[str, int]]) -> int | None:
    """The id of the mount (mount point, id) that lies deepest above `path`; None without one."""
    above = [(len(point), key) for point, key in mounts if _is_under(path, point)]
    return max(above)[1] if above else None


def _is_under(path: str, mount_point: str) -> bool:
    return path == mount_point or path.startswith(mount_point.rstrip("/") + "/")
