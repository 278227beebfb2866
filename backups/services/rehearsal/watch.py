"""Watching a rehearsed guest come up, and looking around in it and in the running VM."""

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from backups.models import Generation
from backups.rules.rehearsal.files import MARGIN_SECONDS
from backups.rules.rehearsal.verdict import Life, signs_in
from backups.services.rehearsal.host import RehearsalHost
from labpanel.adapters.errors import AdapterError, Refused
from labpanel.adapters.libvirt.hypervisor import opened
from labpanel.adapters.libvirt.uses.agent import AsksAgent
from labpanel.adapters.rehearsal import guest_look, pictures
from labpanel.jobs.work import Failed, Work
from labpanel.lib.guest import Guest
from labpanel.lib.vm_state import RUNNING

# A guest that had an agent gets long: without KVM a boot takes some ten times as long, and one
# without its network waits for it. One that had none has only its screen and console to show.
AGENT_SECONDS, SCREEN_SECONDS = 240, 90
# Once its console waits for a sign-in, an agent that is there answers soon.
_AFTER_LOGIN = {True: 60, False: 10}
# An agent may answer before the last file system is mounted.
_MOUNT_SECONDS = 30
_PAUSE = 0.5
_LOOK_SECONDS, _COUNT_SECONDS = 30, 120
# The counting begins a moment after the clock was read.
_LAG = timedelta(seconds=5)


@dataclass(slots=True)
class WatchedBoot:
    """What became of a boot. `screen` is the last picture (PPM or PNG), empty if there is none."""

    life: Life
    screen: bytes


def watch(work: Work, place: RehearsalHost, *, had_agent: bool) -> WatchedBoot:
    """Wait until the agent answers, or the guest ends, or its time is over."""
    began = time.monotonic()
    allowed = AGENT_SECONDS if had_agent else SCREEN_SECONDS
    until, up = began + allowed, False
    first, ended, seconds = b"", "", None
    while seconds is None and not ended and time.monotonic() < until:
        first = first or _screen(place)
        keep_within(work, place)
        ended = _ended(place)
        if not ended and place.hypervisor.agent_answers(place.uuid, seconds=2):
            seconds = time.monotonic() - began
        elif not ended:
            if not up and signs_in(place.workspace.console()):
                up, until = True, min(until, time.monotonic() + _AFTER_LOGIN[had_agent])
            time.sleep(_PAUSE)
    last = _screen(place) or first
    waited = time.monotonic() - began
    life = Life(seconds, waited, place.workspace.console(), _change(first, last), had_agent, ended)
    return WatchedBoot(life, last)


def keep_within(work: Work, place: RehearsalHost) -> None:
    """Stop when cancelling was asked for, or when the guest writes more than it may."""
    work.check()
    used = place.workspace.used()
    if used > place.share.scratch_bytes:
        raise Failed(
            f"The rehearsed guest wrote {used >> 20} MiB to its disks, more than the "
            f"{place.share.scratch_bytes >> 20} MiB that {place.host.name} can spare; "
            "it was ended. Rehearse it on a host with more room."
        )


def _ended(place: RehearsalHost) -> str:
    """That the guest switched itself off, or empty."""
    state = place.hypervisor.transient_state(place.uuid)
    if not state.mine:
        raise Failed(
            f"The connection to libvirt on {place.host.name} broke, and the rehearsed guest ended "
            "with it. That says nothing of the copy: rehearse it again."
        )
    if state.known and state.state != RUNNING:
        # QEMU stops a guest only for want of room (werror=enospc); reading errors are the guest's.
        raise Failed(f"{place.host.name} has no room left for what the rehearsed guest writes.")
    return "" if state.known else "The guest switched itself off."


def _screen(place: RehearsalHost) -> bytes:
    try:
        return place.hypervisor.screenshot(place.uuid)
    except Refused:
        return b""  # a picture less: what counts is said by the agent


def _change(first: bytes, last: bytes) -> str:
    try:
        return "changed" if pictures.differ(first, last) else "same"
    except ValueError:
        return ""


def last_screen(place: RehearsalHost, before: bytes) -> bytes:
    return _screen(place) or before


def look_inside(work: Work, place: RehearsalHost, live: Guest | None) -> Guest | None:
    """Disks, mounts and files of the rehearsed guest; waits for what the running VM has mounted."""
    until = time.monotonic() + _MOUNT_SECONDS
    awaited = live.points if live is not None else frozenset[str]()
    while True:
        keep_within(work, place)
        guest = guest_look.look(place.hypervisor, place.uuid, seconds=_LOOK_SECONDS)
        lacking = (awaited | set(guest.wanted)) - guest.points
        if not lacking or time.monotonic() > until:
            break
        time.sleep(_PAUSE * 4)
    work.line("Its agent was asked for disks, file systems and files.")
    return _counted(
        place.hypervisor,
        place.uuid,
        guest,
        guest_look.places_of(guest),
        datetime.now(UTC),
    )


def answers_live(generation: Generation) -> bool:
    """Whether the running VM's agent answers now, so that a copy's silence means something."""
    vm = generation.vm
    if vm is None or vm.missing_since is not None or vm.state != "running":
        return False
    try:
        with opened(vm.host.endpoint()) as hypervisor:
            return hypervisor.agent_answers(str(vm.uuid), seconds=5)
    except AdapterError:
        return False


def look_at_live(generation: Generation) -> tuple[Guest | None, str]:
    """The running VM seen the same way; or why it could not be."""
    vm = generation.vm
    if vm is None or vm.missing_since is not None:
        return None, f"there is no VM {generation.vm_name} any more"
    if vm.state != "running":
        return None, f"{vm.name} is {vm.state}"
    moment = generation.taken_at - _LAG
    if generation.consistency == Generation.Consistency.CRASH:
        moment -= timedelta(seconds=MARGIN_SECONDS)
    try:
        with opened(vm.host.endpoint()) as hypervisor:
            guest = guest_look.look(hypervisor, str(vm.uuid), seconds=_LOOK_SECONDS)
            places = guest_look.places_of(guest)
            return _counted(hypervisor, str(vm.uuid), guest, places, moment), ""
    except AdapterError as error:
        return None, f"the agent of {vm.name} could not be asked ({error.sentence})"


def _counted(
    agent: AsksAgent, uuid: str, guest: Guest, places: tuple[str, ...], moment: datetime
) -> Guest:
    """The guest with its files counted; as it is where that is not allowed or takes too long."""
    if guest.why_no_trees:
        return guest
    try:
        found = guest_look.trees(
            agent,
            uuid,
            places,
            now=time.time(),
            moment=moment.timestamp(),
            seconds=_COUNT_SECONDS,
        )
    except AdapterError as error:
        return replace(guest, why_no_trees=f"The files were not counted: {error.sentence}")
    return replace(guest, trees=found)
