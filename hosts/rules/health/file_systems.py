"""Does a file system still take writes? From mount options, ext4's counters and a write probe.

No single source is enough (measured on Linux 6.1 to 6.18): after an ext4 error with
`errors=remount-ro`, kernels before 6.1.115 show `ro`, those from about 6.15 show `emergency_ro`
beside `rw`, those in between show nothing; XFS after a shutdown shows `rw` and answers EIO.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial

from labpanel.symptoms.facts.file_systems import Cause, FileSystemTrouble
from labpanel.symptoms.symptom import Evidence

# Read-only by their nature (Documentation/filesystems).
READ_ONLY_KINDS = {"squashfs", "iso9660", "erofs", "cramfs", "romfs", "udf"}
# Superblock options by which a kernel says that it gave a file system up.
GIVEN_UP = ("emergency_ro", "shutdown")
# Seconds for one block to be written, synced and read back: milliseconds on a healthy disk, tenths
# on a busy one. What is slow stays so until it is well below.
SLOW, STILL_SLOW = 1.0, 0.4
SLOW_FOR = 180.0
_STEPS = (5.0, 2.0, 1.0, STILL_SLOW)
# s_first_error_errcode of ext4 (fs/ext4/ext4.h, EXT4_ERR_*). Says whether the device failed or
# the structure is damaged; kept in memory only, so read it before a remount.
ERRCODES = {
    2: "the device answered with an I/O error",
    3: "memory ran out",
    4: "a checksum was wrong",
    5: "the structure is damaged",
    6: "there was no room",
}


@dataclass(frozen=True, slots=True)
class MountState:
    """One mounted file system. `options` are the mount's and the superblock's together."""

    mount_point: str
    source: str
    fstype: str
    options: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ErrorCounters:
    """ext4's own account, under /sys/fs/ext4/<device>. Times in seconds since 1970, 0 = never.

    Kept in the superblock until e2fsck clears it; a remount or a reboot does not.
    """

    errors: int = 0
    first_at: int = 0
    last_at: int = 0
    function: str = ""
    errcode: int = 0


@dataclass(frozen=True, slots=True)
class Probe:
    """A block written, synced and read back, in `seconds`. `outcome` is one of the words of
    onhost/looks/canary.py."""

    folder: str
    outcome: str
    error: str = ""
    detail: str = ""
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class FileSystemLook:
    """Everything known of one file system at one look. `was_writable`: an earlier look saw it rw.

    `good_until` is when it last took a write, in seconds since 1970; `slow_for` the seconds for
    which every look found it slow, which began at `slow_since`.
    """

    mount: MountState
    counters: ErrorCounters | None = None
    probes: tuple[Probe, ...] = ()
    was_writable: bool = False
    good_until: float | None = None
    slow_for: float | None = None
    slow_since: float | None = None


@dataclass(frozen=True, slots=True)
class JudgedFileSystem:
    """`level` is good, watch, bad or unknown; `trouble` stands at watch and bad. `since` is when it
    began, in seconds since 1970, where that is known."""

    level: str
    trouble: FileSystemTrouble | None
    evidence: tuple[Evidence, ...]
    since: float | None = None


@dataclass(slots=True)
class _Items:
    """The evidence, under construction."""

    rows: list[Evidence] = field(default_factory=list)

    def add(
        self, what: str, value: str | int | float, source: str, since: float | None = None
    ) -> None:
        at = datetime.fromtimestamp(since, UTC) if since else None
        self.rows.append(Evidence(what, value, source, at))


def judge(seen: FileSystemLook, host: str) -> JudgedFileSystem:
    """What the file system of `host` suffers from; its trouble does not say yet since when."""
    level, trouble = _decide(seen, host)
    since = None
    if trouble is not None:
        since = seen.slow_since if trouble.cause is Cause.SLOW else _since(seen)
    return JudgedFileSystem(level, trouble, tuple(_evidence(seen)), since)


def is_slow(probes: Sequence[Probe], *, before: bool) -> bool:
    """Whether even the quickest write of a look was slow. Slow is not dead: it answers."""
    quickest = _quickest(probes)
    return quickest is not None and quickest >= (STILL_SLOW if before else SLOW)


def _quickest(probes: Sequence[Probe]) -> float | None:
    taken = [probe.seconds for probe in probes if probe.outcome == "ok"]
    return min((seconds for seconds in taken if seconds is not None), default=None)


def _slowness(seen: FileSystemLook) -> float:
    """The seconds that one block takes at least, in steps: facts that changed at every look would
    be news each time. 0 unless it has been slow for minutes."""
    quickest = _quickest(seen.probes)
    if quickest is None or seen.slow_for is None or seen.slow_for < SLOW_FOR:
        return 0.0
    return next((step for step in _STEPS if quickest >= step), 0.0)


def unmounted(mount: MountState, host: str) -> JudgedFileSystem:
    """Of a file system that should hold images and is not there."""
    items = _Items()
    items.add("mount", "absent", "/proc/self/mountinfo")
    return JudgedFileSystem("bad", _trouble(mount, host, Cause.UNMOUNTED), tuple(items.rows))


def _trouble(mount: MountState, host: str, cause: Cause) -> FileSystemTrouble:
    return FileSystemTrouble(host, mount.mount_point, cause, mount.source, mount.fstype)


def _decide(seen: FileSystemLook, host: str) -> tuple[str, FileSystemTrouble | None]:
    trouble = partial(_trouble, seen.mount, host)
    outcomes = {probe.outcome: probe for probe in seen.probes}
    for outcome, level in _PROBE_LEVELS.items():
        if outcome.value in outcomes:
            return level, replace(trouble(outcome), folder=outcomes[outcome.value].folder)
    if any(word in seen.mount.options for word in GIVEN_UP) or _turned_read_only(seen):
        return "bad", trouble(Cause.READ_ONLY)
    if slowness := _slowness(seen):
        return "watch", replace(trouble(Cause.SLOW), slower_than=slowness)
    if seen.counters is not None and seen.counters.errors:
        return "watch", replace(trouble(Cause.COUNTED), errors=seen.counters.errors)
    return ("unknown" if outcomes and "ok" not in outcomes else "good"), None


# In the order of weight: what a probe met, and the level.
_PROBE_LEVELS = {
    Cause.READ_ONLY: "bad",
    Cause.IO_ERROR: "bad",
    Cause.TIMEOUT: "bad",
    Cause.MISMATCH: "bad",
    Cause.FULL: "bad",
    Cause.MISSING: "watch",
}


def _turned_read_only(seen: FileSystemLook) -> bool:
    """`ro`, and not on purpose: it was seen writable, or counted errors. Without either it was
    mounted that way; if images lie there, the probe says that writes are refused."""
    if "ro" not in seen.mount.options or seen.mount.fstype in READ_ONLY_KINDS:
        return False
    counted = seen.counters is not None and seen.counters.errors > 0
    return counted or seen.was_writable


def _since(seen: FileSystemLook) -> float | None:
    """When it began, by the kernel's own account where there is one.

    A first error from before the last good write belongs to an earlier trouble; then the last
    one is meant.
    """
    if seen.counters is None or not seen.counters.errors:
        return None
    known = seen.good_until or 0
    times = [at for at in (seen.counters.first_at, seen.counters.last_at) if at]
    later = [at for at in times if at > known - 1]
    return float(min(later or times[-1:])) if times else None


def _evidence(seen: FileSystemLook) -> list[Evidence]:
    items = _Items()
    flags = sorted({"ro", "rw", *GIVEN_UP} & seen.mount.options)
    items.add("mount options", ", ".join(flags), "/proc/self/mountinfo")
    counters = seen.counters
    if counters is not None and counters.errors:
        source = "/sys/fs/ext4"
        items.add("ext4 errors", counters.errors, source, counters.first_at or None)
        if counters.function:
            items.add("first error in", counters.function, source, counters.first_at or None)
        if counters.errcode:
            meaning = ERRCODES.get(counters.errcode, f"code {counters.errcode}")
            items.add("first error's kind", meaning, source, counters.first_at or None)
        if counters.last_at > counters.first_at:
            items.add("last error", counters.errors, source, counters.last_at)
    for probe in seen.probes:
        took = f"in {probe.seconds:.1f} s" if probe.seconds and probe.seconds >= STILL_SLOW else ""
        said = " ".join(word for word in (probe.outcome, probe.error, took) if word)
        items.add(f"write probe in {probe.folder}", said, "write, sync, read back")
    return items.rows


def options_of(*texts: str) -> frozenset[str]:
    """The words of comma-separated mount options."""
    return frozenset(word for text in texts for word in text.split(",") if word)
