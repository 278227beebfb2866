"""What a host tells of a VM's images and of its last run. Standard library only."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """One image and what it backs on. `stamps` are inode, size, mtime and ctime (ns) of each file
    from the top down; none for a block device, whose writes leave no trace in them. `bitmaps` gives
    those stored in a qcow2 image: True if it was closed in good order. Times of the top file in
    seconds since 1970 by the host's clock, 0 if they are not known. `corrupt` are the files of the
    chain that QEMU has marked so, `inside` the names of the snapshots inside the top one, as far
    as they could be read, of `inside_count`. `below` are the paths of what it backs on, and
    `inode` is the top file's own, 0 for a block device."""

    stamps: tuple[int, ...] = ()
    holds_bitmaps: bool = False
    bitmaps: dict[str, bool] = field(default_factory=dict)
    written_at: float = 0.0
    changed_at: float = 0.0
    corrupt: tuple[str, ...] = ()
    inside: tuple[str, ...] = ()
    inside_count: int = 0
    below: tuple[str, ...] = ()
    inode: int = 0


@dataclass(frozen=True, slots=True)
class LastRun:
    """The end of libvirt's log of a VM (/var/log/libvirt/qemu/NAME.log): when its last process was
    started and when it was seen to have ended, in seconds since 1970; `ended_at` is 0 if the log
    does not say. `boot_id`, `booted_at`, `ticks`: the host's, for `process_start`."""

    started_at: float = 0.0
    ended_at: float = 0.0
    boot_id: str = ""
    booted_at: float = 0.0
    ticks: int = 100

    def process_start(self, boot: str) -> float:
        """When the process of "<boot id>:<pid>:<start ticks>" began, in seconds since 1970
        (proc(5): field 22 of /proc/PID/stat, btime of /proc/stat)."""
        return self.booted_at + int(boot.rsplit(":", 1)[1]) / max(1, self.ticks)
