"""Does a file system still take writes? From mount options, ext4's counters and a write probe.

No single source is enough (measured on Linux 6.1 to 6.18): after an ext4 error with
`errors=remount-ro`, kernels before 6.1.115 show `ro`, those from about 6.15 show `emergency_ro`
beside `rw`, those in between show nothing; XFS after a shutdown shows `rw` and answers EIO.
"""

from dataclasses import dataclass, field

from labpanel.lib.shapes import Verdict

# Read-only by their nature (Documentation/filesystems).
READ_ONLY_KINDS = {"squashfs", "iso9660", "erofs", "cramfs", "romfs", "udf"}
# Superblock options by which a kernel says that it gave a file system up.
GIVEN_UP = ("emergency_ro", "shutdown")
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
class Mount:
    """One mounted file system. `options` are the mount's and the superblock's together."""

    mount_point: str
    source: str
    fstype: str
    options: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Counters:
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
    """A block written, synced and read back. `outcome` is one of scripts/canary.py's words."""

    folder: str
    outcome: str
    error: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything known of one file system at one look. `was_writable`: an earlier look saw it rw.

    `good_until` is when it last took a write, in seconds since 1970.
    """

    mount: Mount
    counters: Counters | None = None
    probes: tuple[Probe, ...] = ()
    was_writable: bool = False
    good_until: float | None = None


@dataclass(slots=True)
class _Items:
    """The evidence list of a finding, under construction."""

    rows: list[dict[str, object]] = field(default_factory=list)

    def add(self, what: str, value: object, source: str, since: float | None = None) -> None:
        self.rows.append({"what": what, "value": value, "source": source, "since": since})


def judge(seen: Seen) -> Verdict:
    """good, watch, bad or unknown. The reason is a sentence's part without its host:
    "cannot write to /srv/images".

    Evidence: "items" [{"what", "value", "source", "since"}], "since" (seconds since 1970 or
    None), "cause" (a word that the advice goes by).
    """
    items = _evidence(seen)
    level, cause, reason = _decide(seen)
    since = _since(seen) if level != "good" else None
    return Verdict(level, reason, {"items": items, "since": since, "cause": cause})


def unmounted(mount: Mount) -> Verdict:
    """The verdict of a file system that should hold images and is not there."""
    items = _Items()
    items.add("mount", "absent", "/proc/self/mountinfo")
    evidence: dict[str, object] = {"items": items.rows, "since": None, "cause": "unmounted"}
    return Verdict("bad", f"has {mount.mount_point} not mounted", evidence)


def _decide(seen: Seen) -> tuple[str, str, str]:
    place = seen.mount.mount_point
    outcomes = {probe.outcome: probe for probe in seen.probes}
    for outcome, (level, reason) in _PROBE_REASONS.items():
        if outcome in outcomes:
            folder = outcomes[outcome].folder
            return level, outcome, reason.format(place=place, folder=folder)
    given_up = [word for word in GIVEN_UP if word in seen.mount.options]
    if given_up:
        return "bad", "read-only", f"cannot write to {place}"
    if _turned_read_only(seen):
        return "bad", "read-only", f"cannot write to {place}"
    if seen.counters is not None and seen.counters.errors:
        times = "1 error" if seen.counters.errors == 1 else f"{seen.counters.errors} errors"
        return "watch", "counted", f"has recorded {times} on {place}"
    if outcomes and "ok" not in outcomes:
        return "unknown", "not-probed", f"could not be asked whether {place} takes writes"
    return "good", "", f"writes to {place}" if outcomes else f"has {place} without errors"


# In the order of weight: what a probe met, the level, and the sentence's part.
_PROBE_REASONS = {
    "read-only": ("bad", "cannot write to {place}"),
    "io-error": ("bad", "gets I/O errors when it writes to {place}"),
    "timeout": ("bad", "waits without end when it writes to {place}"),
    "mismatch": ("bad", "reads back something else than it wrote to {place}"),
    "full": ("bad", "has no room left on {place}"),
    "missing": ("watch", "has no folder {folder}, where images should lie"),
}


def _turned_read_only(seen: Seen) -> bool:
    """`ro`, and not on purpose: it was seen writable, or counted errors. Without either it was
    mounted that way; if images lie there, the probe says that writes are refused."""
    if "ro" not in seen.mount.options or seen.mount.fstype in READ_ONLY_KINDS:
        return False
    counted = seen.counters is not None and seen.counters.errors > 0
    return counted or seen.was_writable


def _since(seen: Seen) -> float | None:
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


def _evidence(seen: Seen) -> list[dict[str, object]]:
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
        said = " ".join(word for word in (probe.outcome, probe.error) if word)
        items.add(f"write probe in {probe.folder}", said, "write, sync, read back")
    return items.rows


ADVICE = {
    "read-only": (
        "Do not reboot or remount yet: that loses the record of the first error, and remounting "
        "does not repair anything. Take the VMs elsewhere; trust backups from before this began, "
        "not copies made since. Then unmount {place} and run `{check}`."
    ),
    "io-error": (
        "The drive below may be failing: look at its SMART values first. Take the VMs elsewhere, "
        "from their last good backup if reading fails too, before any repair of {place}."
    ),
    "timeout": (
        "The drive or the path to it hangs. Look at the drive's SMART values and the kernel log "
        "(`journalctl -k`); don't start more work on {place}."
    ),
    "mismatch": (
        "Do not trust anything written to {place} since this began. Check the memory, the cable "
        "and the drive; verify the backups on another machine."
    ),
    "full": "Free some room on {place}: VMs pause or get write errors until there is some.",
    "missing": "See whether the file system that held it is mounted.",
    "counted": (
        "It takes writes again, but the file system has not been checked since. Shut its VMs "
        "down, unmount {place} and run `{check}`, which also clears the count."
    ),
    "unmounted": "Mount it again; after a repair, this resolves by itself.",
}


CHECKS = {
    "ext4": "e2fsck -f {source}",
    "xfs": "xfs_repair {source}",
    "btrfs": "btrfs check --readonly {source}",
}


def advice(cause: str, mount: Mount) -> str:
    """What to do now, in order."""
    check = CHECKS.get(mount.fstype, "fsck {source}").format(source=mount.source)
    return ADVICE.get(cause, "").format(place=mount.mount_point, check=check)


def options_of(*texts: str) -> frozenset[str]:
    """The words of comma-separated mount options."""
    return frozenset(word for text in texts for word in text.split(",") if word)
