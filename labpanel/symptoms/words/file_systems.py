"""Words for file systems, their room, and blocks that cannot be read."""

from datetime import datetime

from labpanel.lib.units import count
from labpanel.symptoms.facts.file_systems import (
    Cause,
    FileSystemTrouble,
    Little,
    LittleRoom,
    LittleStoreRoom,
    Shortage,
    UnreadableBlocks,
)
from labpanel.symptoms.words.wording import Wording, clock

_HEADLINES = {
    Cause.READ_ONLY: "cannot write to {place}",
    Cause.IO_ERROR: "gets I/O errors when it writes to {place}",
    Cause.TIMEOUT: "gets no answer when it writes to {place}",
    Cause.MISMATCH: "reads back something else than it wrote to {place}",
    Cause.FULL: "has no room left on {place}",
    Cause.MISSING: "has no folder {folder}, where images should lie",
    Cause.SLOW: "needs more than {slower_than} s to write one block to {place}",
    Cause.COUNTED: "has recorded {errors} on {place}",
    Cause.UNMOUNTED: "has {place} not mounted",
}
_ADVICE = {
    Cause.READ_ONLY: (
        "Do not reboot or remount yet: that loses the record of the first error, and remounting "
        "does not repair anything. Bring its VMs back on another host from copies of before this "
        "began; copies made since are not to be trusted. Then unmount {place} and run `{check}`."
    ),
    Cause.IO_ERROR: (
        "The drive below may be failing: look at its SMART values first. Bring its VMs back on "
        "another host from copies of before this began, before any repair of {place}."
    ),
    Cause.TIMEOUT: (
        "The drive or the path to it hangs. Look at the drive's SMART values and the kernel log "
        "(`journalctl -k`); don't start more work on {place}."
    ),
    Cause.MISMATCH: (
        "Do not trust anything written to {place} since this began. Check the memory, the cable "
        "and the drive; verify the backups on another machine."
    ),
    Cause.SLOW: (
        "A healthy disk takes some milliseconds, and every write of the VMs waits as long. Look "
        "what keeps it busy (`iostat -x 5`, `cat /proc/mdstat`, a backup), and at the SMART values "
        "of the drive below {place}: one that tries again and again is slow before it fails."
    ),
    Cause.FULL: "Free some room on {place}: VMs pause or get write errors until there is some.",
    Cause.MISSING: "See whether the file system that held it is mounted.",
    Cause.COUNTED: (
        "It takes writes again, but the file system has not been checked since. Shut its VMs "
        "down, unmount {place} and run `{check}`, which also clears the count."
    ),
    Cause.UNMOUNTED: "Mount it again; the next look that finds it mounted ends this.",
}
_CHECKS = {
    "ext4": "e2fsck -f {source}",
    "xfs": "xfs_repair {source}",
    "btrfs": "btrfs check --readonly {source}",
}


def file_system(facts: FileSystemTrouble, now: datetime) -> Wording:
    parts = {
        "place": facts.mount_point,
        "folder": facts.folder,
        "errors": count(facts.errors, "error"),
        "slower_than": f"{facts.slower_than:g}",
        "check": _CHECKS.get(facts.fstype, "fsck {source}").format(source=facts.source),
    }
    since = f" since {clock(facts.since, now)}" if facts.since is not None else ""
    headline = _HEADLINES[facts.cause].format(**parts)
    return Wording(f"{facts.host} {headline}{since}", _ADVICE[facts.cause].format(**parts))


def little_room(facts: LittleRoom) -> Wording:
    source = f" ({facts.source})" if facts.source else ""
    return Wording(
        f"{facts.host} has little room on {facts.place}: {_little(facts.little)}",
        f"Free some room on {facts.place}{source}, or enlarge it, or move a VM elsewhere. When it "
        "is full, VMs that write are paused, and backups of them are refused before that.",
    )


def little_store_room(facts: LittleStoreRoom) -> Wording:
    return Wording(
        f"{facts.host} has little room on the store {facts.store}: {_little(facts.little)}",
        f"Free some room below {facts.path}, or enlarge its file system, or keep fewer copies: "
        "a policy that keeps less thins them out at its next turn. When nothing fits, backups "
        "to it fail, and the copies that are there grow old.",
    )


def _little(little: Little) -> str:
    free = f"{little.percent} % free"
    full = f", full in about {days(little.days)}" if little.days is not None else ""
    match little.why:
        case Shortage.NO_FILES:
            return f"almost no inodes are left for new files ({free})"
        case Shortage.FEW_FILES:
            return f"few inodes are left for new files ({free})"
        case Shortage.BACKUP:
            return f"{free}, too little for the next backup of {little.whose}{full}"
        case Shortage.GROWTH:
            return f"{free}, less than its images may grow by{full}"
        case Shortage.PERCENT:
            return f"{free}{full}"


def days(whole: int) -> str:
    return "a day" if whole == 0 else count(whole, "day")


def unreadable_blocks(facts: UnreadableBlocks) -> Wording:
    names = ", ".join(facts.vms) or "no VM"
    return Wording(
        f"{facts.host} cannot read bytes {facts.first} to {facts.last} of {facts.path} ({names})",
        "What was written there long ago is lost, though new writes may work. Do not copy or "
        f"move the image as it is: bring {names} back from the last copy that was read whole, "
        "to another drive. Look at the SMART values of the drive below.",
    )
