"""Watching a rehearsed guest come up, and looking around in it and in the running VM."""

import base64
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from backups.models import Generation
from backups.rules.rehearsal import Life, signs_in
from backups.rules.rehearsal_files import MARGIN_SECONDS
from backups.services.rehearsal_ground import Ground
from labpanel.adapters import guest_look, pictures
from labpanel.adapters.errors import AdapterError, Refused
from labpanel.adapters.hypervisor import Hypervisor, opened
from labpanel.jobs.work import Failed, Work
from labpanel.lib.guest import Guest

# A guest that had an agent gets long: without KVM a boot takes some ten times as long, and one
# without its network waits for it. One that had none has only its screen and console to show.
AGENT_SECONDS, SCREEN_SECONDS = 240, 90
# Once its console waits for somebody to sign in, an agent that is there answers soon.
_AFTER_LOGIN = {True: 60, False: 10}
# An agent may answer before the last file system is mounted.
_MOUNT_SECONDS = 30
_PAUSE = 0.5
_SHORT = 15
_LOOK_SECONDS, _COUNT_SECONDS = 30, 120
_RUNNING = 1  # virDomainState: VIR_DOMAIN_RUNNING
# The counting begins a moment after the clock was read.
_LAG = timedelta(seconds=5)


@dataclass(slots=True)
class Watched:
    """What became of a boot. `screen` is the last picture (PPM or PNG), empty if there is none."""

    life: Life
    screen: bytes


def watch(work: Work, ground: Ground, *, had_agent: bool) -> Watched:
    """Wait until the agent answers, or the guest ends, or its time is over."""
    began = time.monotonic()
    allowed = AGENT_SECONDS if had_agent else SCREEN_SECONDS
    until, up = began + allowed, False
    first, ended, seconds = b"", "", None
    while seconds is None and not ended and time.monotonic() < until:
        first = first or _screen(ground)
        keep_within(work, ground)
        ended = _ended(ground)
        if not ended and ground.hypervisor.call(
            "agent_answers", deadline=_SHORT, uuid=ground.uuid, seconds=2
        ):
            seconds = time.monotonic() - began
        elif not ended:
            if not up and signs_in(ground.stage.console()):
                up, until = True, min(until, time.monotonic() + _AFTER_LOGIN[had_agent])
            time.sleep(_PAUSE)
    last = _screen(ground) or first
    waited = time.monotonic() - began
    life = Life(seconds, waited, ground.stage.console(), _change(first, last), had_agent, ended)
    return Watched(life, last)


def keep_within(work: Work, ground: Ground) -> None:
    """Stop when cancelling was asked for, or when the guest writes more than it may."""
    work.check()
    used = ground.stage.used()
    if used > ground.share.scratch_bytes:
        raise Failed(
            f"The rehearsed guest wrote {used >> 20} MiB to its disks, more than the "
            f"{ground.share.scratch_bytes >> 20} MiB that {ground.host.name} can spare; "
            "it was ended. Rehearse it on a host with more room."
        )


def _ended(ground: Ground) -> str:
    """That the guest switched itself off, or empty."""
    state = ground.hypervisor.call("transient_state", deadline=_SHORT, uuid=ground.uuid)
    if not state["mine"]:
        raise Failed(
            f"The connection to libvirt on {ground.host.name} broke, and the rehearsed guest ended "
            "with it. That says nothing of the copy: rehearse it again."
        )
    if state["known"] and state["state"] != _RUNNING:
        # QEMU stops a guest only for want of room (werror=enospc); reading errors are the guest's.
        raise Failed(f"{ground.host.name} has no room left for what the rehearsed guest writes.")
    return "" if state["known"] else "The guest switched itself off."


def _screen(ground: Ground) -> bytes:
    try:
        return base64.b64decode(
            ground.hypervisor.call("screenshot", deadline=_SHORT, uuid=ground.uuid)
        )
    except Refused:
        return b""  # a picture less: what counts is said by the agent


def _change(first: bytes, last: bytes) -> str:
    try:
        return "changed" if pictures.differ(first, last) else "same"
    except ValueError:
        return ""


def last_screen(ground: Ground, before: bytes) -> bytes:
    return _screen(ground) or before


def look_inside(work: Work, ground: Ground, live: Guest | None) -> Guest | None:
    """Disks, mounts and files of the rehearsed guest; waits for what the running VM has mounted."""
    until = time.monotonic() + _MOUNT_SECONDS
    call = ground.hypervisor.call
    awaited = live.points if live is not None else frozenset[str]()
    while True:
        keep_within(work, ground)
        guest = guest_look.look(call, ground.uuid, seconds=_LOOK_SECONDS)
        lacking = (awaited | set(guest.wanted)) - guest.points
        if not lacking or time.monotonic() > until:
            break
        time.sleep(_PAUSE * 4)
    work.line("Its agent was asked for disks, file systems and files.")
    return _counted(call, ground.uuid, guest, guest_look.places_of(guest), datetime.now(UTC))


def answers_live(generation: Generation) -> bool:
    """Whether the running VM's agent answers now, so that a copy's silence means something."""
    vm = generation.vm
    if vm is None or vm.missing_since is not None or vm.state != "running":
        return False
    try:
        with opened(vm.host.endpoint()) as hypervisor:
            return bool(
                hypervisor.call("agent_answers", deadline=_SHORT, uuid=str(vm.uuid), seconds=5)
            )
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
            guest = _look_at(hypervisor, str(vm.uuid))
            places = guest_look.places_of(guest)
            return _counted(hypervisor.call, str(vm.uuid), guest, places, moment), ""
    except AdapterError as error:
        return None, f"the agent of {vm.name} could not be asked ({error.sentence})"


def _look_at(hypervisor: Hypervisor, uuid: str) -> Guest:
    return guest_look.look(hypervisor.call, uuid, seconds=_LOOK_SECONDS)


def _counted(
    call: Callable[..., object], uuid: str, guest: Guest, places: tuple[str, ...], moment: datetime
) -> Guest:
    """The guest with its files counted; as it is where that is not allowed or takes too long."""
    if guest.why_no_trees:
        return guest
    try:
        found = guest_look.trees(
            call,
            uuid,
            places,
            now=time.time(),
            moment=moment.timestamp(),
            seconds=_COUNT_SECONDS,
        )
    except AdapterError as error:
        return replace(guest, why_no_trees=f"The files were not counted: {error.sentence}")
    return replace(guest, trees=found)
