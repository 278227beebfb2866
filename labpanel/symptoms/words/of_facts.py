"""The wording of any symptom, from its facts alone. Pure."""

from datetime import datetime
from typing import assert_never

from labpanel.symptoms.declared import Facts
from labpanel.symptoms.facts import copies as of_copies
from labpanel.symptoms.facts import drives as of_drives
from labpanel.symptoms.facts import file_systems as of_file_systems
from labpanel.symptoms.facts import hosts as of_hosts
from labpanel.symptoms.facts import vms as of_vms
from labpanel.symptoms.words import copies, drives, file_systems, hosts, vms
from labpanel.symptoms.words.wording import Wording


def wording(facts: Facts, now: datetime) -> Wording:
    """`now` is the time of the look that saw them, in the reader's zone."""
    match facts:
        case of_hosts.SilentHost():
            return hosts.silent_host(facts, now)
        case of_hosts.SilentLibvirt():
            return hosts.silent_libvirt(facts, now)
        case of_hosts.FailedCheck():
            return hosts.failed_check(facts, now)
        case of_hosts.OddAnswers():
            return hosts.odd_answers(facts)
        case of_hosts.SameMachine():
            return hosts.same_machine(facts)
        case of_file_systems.FileSystemTrouble():
            return file_systems.file_system(facts, now)
        case of_file_systems.LittleRoom():
            return file_systems.little_room(facts)
        case of_file_systems.LittleStoreRoom():
            return file_systems.little_store_room(facts)
        case of_file_systems.UnreadableBlocks():
            return file_systems.unreadable_blocks(facts)
        case of_drives.DriveTrouble():
            return drives.drive(facts)
        case of_drives.UnreadDrives():
            return drives.unread_drives(facts)
        case of_copies.ImageFault():
            return copies.image_fault(facts, now)
        case of_copies.StoreFault():
            return copies.store_fault(facts, now)
        case of_copies.CorruptImage():
            return copies.corrupt_image(facts)
        case of_copies.FailedBackup():
            return copies.failed_backup(facts)
        case of_copies.FailedRehearsal():
            return copies.failed_rehearsal(facts)
        case _:
            return _of_a_vm(facts, now)


def _of_a_vm(
    facts: of_vms.VmCrashed
    | of_vms.VmPaused
    | of_vms.VmOff
    | of_vms.VmGone
    | of_vms.VmRestarts
    | of_vms.OnTwoHosts,
    now: datetime,
) -> Wording:
    match facts:
        case of_vms.VmCrashed():
            return vms.crashed(facts, now)
        case of_vms.VmPaused():
            return vms.paused(facts, now)
        case of_vms.VmOff():
            return vms.off(facts, now)
        case of_vms.VmGone():
            return vms.gone(facts, now)
        case of_vms.VmRestarts():
            return vms.restarts(facts, now)
        case of_vms.OnTwoHosts():
            return vms.on_two_hosts(facts)
    assert_never(facts)
