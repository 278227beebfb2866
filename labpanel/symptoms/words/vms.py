"""Words for a VM's own trouble, and for a VM that two hosts have."""

from collections.abc import Sequence
from datetime import datetime

from labpanel.lib.units import count, listed
from labpanel.symptoms.facts.vms import (
    Crash,
    OnTwoHosts,
    Pause,
    VmCrashed,
    VmGone,
    VmOff,
    VmPaused,
    VmRestarts,
)
from labpanel.symptoms.words.wording import Wording, clock

_LOG = "its log on {host} (in /var/log/libvirt/qemu)"
_CRASHES = {
    Crash.CRASHED: (
        "{vm} crashed on {host} at",
        "Its QEMU ended without being asked, or its guest's kernel panicked. Start {vm}. If "
        "it crashes again, read {log}, and see whether the host ran out of memory: its kernel "
        "then kills a QEMU (`journalctl -k`).",
    ),
    Crash.FAILED: (
        "{vm} could not be started on {host} at",
        "Start {vm} from here: the job says why libvirt refuses. So does {log}.",
    ),
    Crash.DAEMON: (
        "libvirt on {host} could not connect to {vm} again and switched it off at",
        "Start {vm}, and read {log}.",
    ),
    Crash.PANICKED: (
        "The kernel of {vm}'s guest panicked on {host} at",
        "Look at the screen of {vm} for the kernel's last messages, switch it off, and "
        "start it again.",
    ),
}
_GOES_ON = "Then resume {vm}: it goes on where it stopped, and loses nothing."
_RESUME = "Look at {log}, then resume {vm}; if its guest does not answer then, reset it."
_PAUSES = {
    Pause.NO_SPACE: (
        "{vm} is paused on {host}: {disks} found no room to write, since",
        f"Make room on the file system that holds {{images}}. {_GOES_ON}",
    ),
    Pause.DISK_ERROR: (
        "{vm} is paused on {host}: {disks} cannot be read or written, since",
        f"See what is wrong with the drive below and mend it. {_GOES_ON}",
    ),
    Pause.UNKNOWN_DISK: (
        "{vm} is paused on {host}: a disk of it could not be read or written, since",
        "See whether the file system of its images is full or takes no writes, and mend that. "
        f"{_GOES_ON}",
    ),
    Pause.WATCHDOG: ("{vm} was paused on {host} by its watchdog, as its guest hangs, at", _RESUME),
    Pause.POSTCOPY: ("{vm} is paused on {host}, as a migration of it broke, since", _RESUME),
    Pause.API_ERROR: (
        "{vm} is paused on {host}, as libvirt could not let it go on, since",
        _RESUME,
    ),
}


def crashed(facts: VmCrashed, now: datetime) -> Wording:
    return _filled(_CRASHES[facts.how], facts, now)


def paused(facts: VmPaused, now: datetime) -> Wording:
    disks = facts.disks
    return _filled(_PAUSES[facts.why], facts, now, disks=_disks(disks), images=_images(disks))


def _filled(
    shapes: tuple[str, str], facts: VmCrashed | VmPaused, now: datetime, **more: str
) -> Wording:
    log = _LOG.format(host=facts.host)
    headline, advice = (
        shape.format(vm=facts.vm, host=facts.host, log=log, **more) for shape in shapes
    )
    return Wording(f"{headline} {clock(facts.since, now)}", advice)


def off(facts: VmOff, now: datetime) -> Wording:
    vm, host, since = facts.vm, facts.host, clock(facts.since, now)
    if facts.host_restarted:
        begin = "" if facts.autostart else " To have it start with its host, set its autostart."
        return Wording(
            f"{vm} ran before {host} was restarted and is off since {since}",
            f"Start {vm} when {host} is well.{begin}",
        )
    return Wording(
        f"{vm} ran on {host} and is off, libvirt does not know why, since {since}",
        f"libvirt, or all of {host}, was restarted meanwhile. Start {vm} when {host} is well.",
    )


def gone(facts: VmGone, now: datetime) -> Wording:
    vm, host = facts.vm, facts.host
    why = f" {vm} was transient: libvirt forgets such a VM when it ends."
    return Wording(
        f"{vm} is gone from libvirt on {host}, and the panel did not remove it, since "
        f"{clock(facts.since, now)}",
        f"Its images may still lie on {host}.{'' if facts.persistent else why} If it was removed "
        "on purpose, take it off the lists (`./panel vm forget`); else bring it back from its "
        "newest copy.",
    )


def restarts(facts: VmRestarts, now: datetime) -> Wording:
    vm, host = facts.vm, facts.host
    return Wording(
        f"{vm} on {host} restarts again and again: {count(facts.times, 'time')} within "
        f"{facts.minutes} minutes, last at {clock(facts.since, now)}",
        f"Look at the screen of {vm} and at {_LOG.format(host=host)}: often its guest cannot "
        "boot, or its memory or disk is not enough.",
    )


def on_two_hosts(facts: OnTwoHosts) -> Wording:
    vm, owner, other = facts.vm, facts.owner, facts.other
    return Wording(
        f"Two hosts have the VM {vm}: {owner} and {other}.",
        f"{vm} stays with {owner}, and is neither backed up nor pruned nor restored in place until "
        f"one of them no longer has it. Undefine it on the host where it does not belong; if "
        f"{owner} does not come back, remove that host from the panel, and {vm} goes with {other}.",
    )


def _disks(targets: Sequence[str]) -> str:
    if len(targets) == 1:
        return f"its disk {targets[0]}"
    return f"its disks {listed(list(targets))}"


def _images(targets: Sequence[str]) -> str:
    return f"the image of {targets[0]}" if len(targets) == 1 else "their images"
