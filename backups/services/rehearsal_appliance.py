"""Looking at a copy's disks from outside the guest, where nobody inside can be asked."""

import time
from collections.abc import Sequence

from backups.rules.rehearsal_place import appliance_memory
from backups.services.rehearsal_ground import Ground
from backups.services.rehearsal_watch import keep_within
from labpanel.adapters.appliance import Appliance, Source
from labpanel.adapters.guest_look import PLACES
from labpanel.adapters.rehearsal_xml import Image
from labpanel.adapters.script_session import ScriptRefused
from labpanel.jobs.work import Work
from labpanel.lib.guest import Insides
from labpanel.lib.shapes import Progress

# The first one on a host is built there, and without KVM all takes some ten times as long.
SECONDS = 420
_PAUSE = 0.5
_INSTALL = {
    "no-guestfs": "install python3-guestfs there (apt install python3-guestfs)",
    "no-kernel": "install a kernel there (apt install linux-image-amd64)",
}


def look_from_outside(
    work: Work, ground: Ground, images: Sequence[Image], *, kvm: bool
) -> tuple[Insides | None, str]:
    """What libguestfs's appliance on the rehearsal's host sees on the disks; or why it does not.

    It reads the same exports as the guest did, under what the guest wrote: the copy as it is kept.
    `kvm` where the guest has just run with the help of the host's CPU.
    """
    memory, why_not = appliance_memory(ground.stage.resources().available_bytes)
    if why_not:
        return None, f"{ground.host.name} cannot look at the disks from outside: {why_not}."
    sources = [Source(image.target, image.socket, image.export) for image in images]
    with Appliance(ground.machine) as appliance:
        try:
            appliance.begin(
                sources,
                places=PLACES,
                memory_mib=memory >> 20,
                kvm=kvm,
                scratch=ground.stage.scratch,
            )
        except ScriptRefused as refusal:
            if refusal.code not in _INSTALL:
                raise
            todo = _INSTALL[refusal.code]
            name = ground.host.name
            return (
                None,
                f"{name} cannot look at the disks from outside: {refusal.sentence}; {todo}.",
            )
        found, why_not = _through(work, ground, appliance)
        appliance.stop()
    if found is not None:
        work.line("The appliance was asked for disks, file systems and files.")
    return found, why_not


def _through(work: Work, ground: Ground, appliance: Appliance) -> tuple[Insides | None, str]:
    until, phase = time.monotonic() + SECONDS, ""
    while time.monotonic() < until:
        keep_within(work, ground)
        state = appliance.state()
        if state.insides is not None:
            return state.insides, ""
        if state.error:
            return None, f"The appliance on {ground.host.name} could not look: {state.error}."
        if state.phase != phase:
            phase = state.phase
            work.progress(Progress(phase=phase))
        time.sleep(_PAUSE)
    return None, f"The appliance on {ground.host.name} was not through after {SECONDS} s ({phase})."
