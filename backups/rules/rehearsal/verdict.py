"""What a rehearsal has shown: one check for each thing looked at, and the verdict over all. Pure.

A check is passed (True), failed (False) or not proven (None). A rehearsal passes when the guest
gave a sure sign of life, every disk was seen from inside, and nothing failed. What could not be
looked at is shown as not proven: it neither fails a copy nor makes it good.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from backups.rules.rehearsal.files import files_checks
from backups.rules.rehearsal.insides import (
    all_shown,
    described,
    file_system_checks,
    outside_disk_checks,
    outside_files_checks,
)
from labpanel.lib.guest import Guest, GuestDisk, Insides
from labpanel.lib.rehearsing import Check, Expected
from labpanel.lib.units import count, listed, size

# The last line of a console that waits for a sign-in (getty(8)); what a kernel or an
# init says on its way is life too, but not yet a system that is up.
_LOGIN = ("login:", "password:", "press enter to activate this console")
_MAINTENANCE = ("emergency mode", "for maintenance", "kernel panic", "can't be mounted")
_BOOTING = ("linux version", "systemd[1]", "welcome to", "starting version", "freebsd", "booted")


@dataclass(frozen=True, slots=True)
class Life:
    """`seconds` from start to the agent's first answer, None if it never gave one; `waited` how
    long it was given. `screen` is what became of the firmware's screen: changed, same, or empty
    where it could not be seen. `ended` says that the guest stopped unasked; `awaited` that an
    answer was to be expected: the running VM's agent gives one, and the rehearsal is no slower.
    `not_booted` is why there was nothing to boot; then only the disks were looked at."""

    seconds: float | None
    waited: float
    console: str
    screen: str
    had_agent: bool
    ended: str = ""
    awaited: bool = False
    not_booted: str = ""


@dataclass(frozen=True, slots=True)
class RehearsalEvidence:
    """All that was seen. `live` is the running VM seen the same way; `why_no_live` if it is not.
    `younger` are disks that the VM has now and had not at the backup. `insides` is what the
    appliance saw where the guest could not be asked for all; `why_no_insides` if it did not."""

    name: str
    host: str
    life: Life
    disks: tuple[Expected, ...]
    guest: Guest | None
    live: Guest | None
    why_no_live: str = ""
    younger: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    insides: Insides | None = None
    why_no_insides: str = ""


@dataclass(frozen=True, slots=True)
class RehearsalOutcome:
    """`passed` is False where something failed, None where nothing did but too little is shown."""

    passed: bool | None
    sentence: str
    checks: tuple[Check, ...]


def judge(seen: RehearsalEvidence) -> RehearsalOutcome:
    """All checks, in the order in which a person would look, and one sentence."""
    life = life_check(seen.life)
    disks = _disks(seen)
    checks = [life, *disks, *_contents(seen), *_not_looked_at(seen)]
    failed = [check for check in checks if check.passed is False]
    if failed:
        passed: bool | None = False
    else:
        shown = seen.guest is not None or (seen.insides is not None and all_shown(seen.insides))
        passed = True if shown and all(check.passed for check in (life, *disks)) else None
    said = _failed(seen, failed) if failed else _proven(seen, disks) if passed else _unproven(seen)
    return RehearsalOutcome(passed, said, tuple(checks))


def _disks(seen: RehearsalEvidence) -> list[Check]:
    if seen.guest is None and seen.insides is not None:
        return outside_disk_checks(seen.disks, seen.insides)
    return disk_checks(seen.disks, seen.guest)


def _contents(seen: RehearsalEvidence) -> list[Check]:
    """File systems and files: by the guest itself, else by the appliance."""
    checks: list[Check] = []
    if seen.guest is not None:
        checks += mount_checks(seen.guest, seen.live, seen.younger)
        checks += files_checks(seen.guest, seen.live, seen.why_no_live)
    elif seen.insides is not None:
        checks += file_system_checks(seen.insides, seen.disks)
    if seen.insides is not None:
        checks += outside_files_checks(seen.insides, seen.live, seen.why_no_live)
    return checks


def not_booted(name: str, disks: Sequence[Expected]) -> RehearsalOutcome:
    """Where a disk's file cannot even be opened, nothing is booted."""
    checks = [Check("The guest comes up", None, "It was not booted."), *disk_checks(disks, None)]
    failed = next(check for check in checks if check.passed is False)
    said = f"The copy of {name} cannot be booted. {failed.what}: {failed.seen}"
    return RehearsalOutcome(False, said, tuple(checks))


def life_check(life: Life) -> Check:
    what, said = "The guest comes up", life.console.lower()
    if life.not_booted:
        return Check(what, None, f"It was not booted: {life.not_booted}")
    ending = said[-400:]
    trouble = next((words for words in _MAINTENANCE if words in ending), "")
    if life.seconds is not None:
        last = _last_line(life.console)
        more = f" Its console ends with “{last}”." if last else ""
        return Check(what, True, f"Its agent answered after {life.seconds:.0f}\u00a0s.{more}")
    if life.ended:
        return Check(what, False, f"{life.ended} Its console: “{_last_line(life.console)}”.")
    if trouble:
        return Check(what, False, f"Its console stopped at “{_last_line(life.console)}”.")
    if signs_in(life.console):
        return Check(what, True, "Its console asks for a sign-in.")
    return Check(what, False if life.awaited else None, f"{_silence(life)}; {_got_to(life)}.")


def signs_in(console: str) -> bool:
    """Whether it waits for a sign-in: the system is up."""
    return console.lower().rstrip().rstrip(".").endswith(_LOGIN)


def _silence(life: Life) -> str:
    if not life.had_agent:
        return "It has no guest agent"
    but = ", as that of the running VM does" if life.awaited else ""
    return f"Its agent did not answer within {life.waited:.0f}\u00a0s{but}"


def _got_to(life: Life) -> str:
    """How far it came, by what can be seen from outside."""
    if any(words in life.console.lower() for words in _BOOTING):
        return f"its console got as far as “{_last_line(life.console)}”"
    if life.screen == "changed":
        return "the screen went on from the firmware’s: the picture shows how far"
    return "the screen stayed as the firmware left it" if life.screen else "it showed no screen"


def _last_line(console: str) -> str:
    lines = [line.strip() for line in console.splitlines() if line.strip()]
    return "".join(filter(str.isprintable, lines[-1]))[:120] if lines else ""


def disk_checks(disks: Sequence[Expected], guest: Guest | None) -> list[Check]:
    """Each disk of the VM: in the generation, and seen by the guest. A device is a disk's by its
    serial number, else by its size; one device stands for one disk."""
    free = list(guest.disks) if guest is not None else []
    matched = {disk.target: _take(free, disk, by_serial=True) for disk in disks}
    for disk in disks:
        if matched[disk.target] is None and not disk.why_absent:
            matched[disk.target] = _take(free, disk, by_serial=False)
    return [_disk_check(disk, matched[disk.target], guest) for disk in disks]


def _take(free: list[GuestDisk], disk: Expected, *, by_serial: bool) -> GuestDisk | None:
    for device in free:
        same_size = device.bytes in {0, disk.bytes}
        same = device.serial == disk.serial if by_serial else not device.serial and same_size
        if same:
            free.remove(device)
            return device
    return None


def _disk_check(disk: Expected, device: GuestDisk | None, guest: Guest | None) -> Check:
    what = f"Disk {disk.target}"
    if disk.why_absent:
        return Check(what, None if disk.chosen else False, disk.why_absent)
    if guest is None:
        return Check(what, None, "It is plugged in; whether the guest shows it could not be asked.")
    if device is None:
        return Check(what, False, "The guest does not see it.")
    if device.bytes and device.bytes != disk.bytes:
        seen = f"The guest sees {size(device.bytes)} instead of {size(disk.bytes)}."
        return Check(what, False, seen)
    return Check(what, True, f"The guest sees it as {device.name}, {size(disk.bytes)}.")


def mount_checks(guest: Guest, live: Guest | None, younger: Sequence[str]) -> list[Check]:
    """Every file system that the running VM has mounted, or that its own fstab asks for."""
    checks = []
    mine = {mount.point: mount for mount in guest.mounts}
    theirs = live.points if live is not None else frozenset[str]()
    for point in sorted({*mine, *theirs, *guest.wanted}):
        what = f"File system {point}"
        if point in mine:
            mount = mine[point]
            checks.append(Check(what, True, f"It is mounted: {mount.type} on {mount.device}."))
        elif point in guest.wanted:
            checks.append(Check(what, False, "It is in the guest’s fstab, but was not mounted."))
        elif younger:
            why = f"{listed(list(younger))} is younger than this copy"
            seen = f"It is mounted in the running VM and not here; {why} and may be what holds it."
            checks.append(Check(what, None, seen))
        else:
            checks.append(Check(what, False, "It is mounted in the running VM, but not here."))
    return checks


def _not_looked_at(seen: RehearsalEvidence) -> list[Check]:
    checks = []
    if seen.why_no_insides:
        checks.append(Check("A look from outside", None, seen.why_no_insides))
    if seen.guest is not None and seen.guest.why_no_trees and seen.insides is None:
        checks.append(Check("Files", None, seen.guest.why_no_trees))
    if seen.left_out:
        without = f"It was booted without {listed(list(seen.left_out))}."
        checks.append(Check("What a rehearsal leaves out", None, without))
    return checks


def _failed(seen: RehearsalEvidence, failed: Sequence[Check]) -> str:
    first, rest = failed[0], len(failed) - 1
    more = f" And {count(rest, 'more thing is', 'more things are')} wrong." if rest else ""
    begin = f"The copy of {seen.name} failed its rehearsal on {seen.host}."
    return f"{begin} {first.what}: {first.seen}{more}"


def _unproven(seen: RehearsalEvidence) -> str:
    begin = f"Nothing was found wrong with the copy of {seen.name} on {seen.host}"
    if seen.guest is None and seen.insides is not None and all_shown(seen.insides):
        begin += f": {described(seen.insides)} are as they should be"
    if seen.life.not_booted:
        return f"{begin}, but it was not booted: {seen.life.not_booted}"
    return f"{begin}, but it is not proven that it boots: look at the picture of its screen."


def _proven(seen: RehearsalEvidence, disks: Sequence[Check]) -> str:
    begin = f"{seen.name} booted from this copy on {seen.host}"
    if seen.guest is None and seen.insides is not None:
        return (
            f"{begin}; without an agent in it, {described(seen.insides)} were opened from outside."
        )
    took = f" in {seen.life.seconds:.0f}\u00a0s" if seen.life.seconds is not None else ""
    there = [check for check in disks if check.passed]
    return f"{begin}{took} with {count(len(there), 'disk')}."
