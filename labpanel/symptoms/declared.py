"""One declaration for each kind of symptom: its facts, what it is about, how it ends."""

from dataclasses import dataclass

from labpanel.symptoms.facts.copies import (
    CorruptImage,
    FailedBackup,
    FailedRehearsal,
    ImageFault,
    StoreFault,
)
from labpanel.symptoms.facts.drives import DriveTrouble, UnreadDrives
from labpanel.symptoms.facts.file_systems import (
    FileSystemTrouble,
    LittleRoom,
    LittleStoreRoom,
    UnreadableBlocks,
)
from labpanel.symptoms.facts.hosts import (
    FailedCheck,
    OddAnswers,
    SameMachine,
    SilentHost,
    SilentLibvirt,
)
from labpanel.symptoms.facts.vms import OnTwoHosts, VmCrashed, VmGone, VmOff, VmPaused, VmRestarts
from labpanel.symptoms.kinds import About, Kind

Facts = (
    SilentHost
    | SilentLibvirt
    | FailedCheck
    | OddAnswers
    | SameMachine
    | FileSystemTrouble
    | LittleRoom
    | UnreadableBlocks
    | DriveTrouble
    | UnreadDrives
    | VmCrashed
    | VmPaused
    | VmOff
    | VmGone
    | VmRestarts
    | OnTwoHosts
    | CorruptImage
    | ImageFault
    | StoreFault
    | LittleStoreRoom
    | FailedBackup
    | FailedRehearsal
)


@dataclass(frozen=True, slots=True)
class Declared:
    """A symptom that stands `until_seen` ends when its owner says that they have seen it, or when
    it is over."""

    facts: type[Facts]
    about: About = About.HOST
    until_seen: bool = False


DECLARED: dict[Kind, Declared] = {
    Kind.HOST: Declared(SilentHost),
    Kind.LIBVIRT: Declared(SilentLibvirt),
    Kind.CHECK: Declared(FailedCheck),
    Kind.ANSWER: Declared(OddAnswers),
    Kind.SAME_MACHINE: Declared(SameMachine),
    Kind.FILE_SYSTEM: Declared(FileSystemTrouble),
    Kind.ROOM: Declared(LittleRoom),
    Kind.UNREADABLE: Declared(UnreadableBlocks),
    Kind.DRIVE: Declared(DriveTrouble),
    Kind.DRIVES_UNREAD: Declared(UnreadDrives),
    Kind.VM_CRASHED: Declared(VmCrashed, About.VM, until_seen=True),
    Kind.VM_PAUSED: Declared(VmPaused, About.VM),
    Kind.VM_OFF: Declared(VmOff, About.VM, until_seen=True),
    Kind.VM_GONE: Declared(VmGone, About.VM, until_seen=True),
    Kind.VM_RESTARTS: Declared(VmRestarts, About.VM, until_seen=True),
    Kind.TWO_HOSTS: Declared(OnTwoHosts),
    Kind.IMAGE: Declared(CorruptImage, About.VM),
    Kind.IMAGE_ERROR: Declared(ImageFault, until_seen=True),
    Kind.STORE_ERROR: Declared(StoreFault, About.STORE, until_seen=True),
    Kind.STORE_ROOM: Declared(LittleStoreRoom, About.STORE),
    Kind.BACKUP_FAILED: Declared(FailedBackup, About.VM),
    Kind.REHEARSAL_FAILED: Declared(FailedRehearsal, About.VM),
}
_KINDS = {declared.facts: kind for kind, declared in DECLARED.items()}


def kind_of(facts: Facts) -> Kind:
    return _KINDS[type(facts)]
