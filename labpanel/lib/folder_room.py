"""Room on a file system of a host. Standard library only: it is also sent to hosts."""

from dataclasses import dataclass


@dataclass(frozen=True)
class FolderRoom:
    """Of the nearest folder that exists, at `path`; `device` is the number of its file system."""

    path: str
    available_bytes: int
    size_bytes: int
    device: int
    writable: bool
