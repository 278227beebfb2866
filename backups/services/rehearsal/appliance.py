"""Look at a copy's disks from outside the guest, where no agent in it answers."""

import time
from collections.abc import Sequence

from backups.rules.rehearsal.place import appliance_memory
from backups.services.rehearsal.host import RehearsalHost
from backups.services.rehearsal.watch import keep_within
from labpanel.adapters.libvirt.xml.rehearsal_xml import OverlayImage
from labpanel.adapters.rehearsal.appliance import Appliance, Source
from labpanel.adapters.rehearsal.guest_look import PLACES
from labpanel.adapters.ssh.session import ScriptRefused
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
    work: Work, place: RehearsalHost, images: Sequence[OverlayImage], *, kvm: bool
) -> tuple[Insides | None, str]:
    """What libguestfs's appliance on the rehearsal's host sees on the disks; or why it does not.

    It reads the same exports as the guest did, under what the guest wrote: the copy as it is kept.
    `kvm` where the guest has just run with the help of the host's CPU.
    """
    memory, why_not = appliance_memory(place.workspace.resources().available_bytes)
    if why_not:
        return None, f"{place.host.name} cannot look at the disks from outside: {why_not}."
    sources = [Source(image.target, image.socket, image.export) for image in images]
    with Appliance(place.machine) as appliance:
        try:
            appliance.begin(
                sources,
                places=PLACES,
                memory_mib=memory >> 20,
                kvm=kvm,
                scratch=place.workspace.scratch,
            )
        except ScriptRefused as refusal:
            if refusal.code not in _INSTALL:
                raise
            todo = _INSTALL[refusal.code]
            name = place.host.name
            return (
                None,
                f"{name} cannot look at the disks from outside: {refusal.sentence}; {todo}.",
            )
        found, why_not = _through(work, place, appliance)
        appliance.stop()
    if found is not None:
        work.line("The appliance was asked for disks, file systems and files.")
    return found, why_not


def _through(work: Work, place: RehearsalHost, appliance: Appliance) -> tuple[Insides | None, str]:
    until, phase = time.monotonic() + SECONDS, ""
    while time.monotonic() < until:
        keep_within(work, place)
        state = appliance.state()
        if state.insides is not None:
            return state.insides, ""
        if state.error:
            return (
                None,
                f"The appliance on {place.host.name} could not look: {state.error}.",
            )
        if state.phase != phase:
            phase = state.phase
            work.progress(Progress(phase=phase))
        time.sleep(_PAUSE)
    return (
        None,
        f"The appliance on {place.host.name} had not finished after {SECONDS} s ({phase}).",
    )
