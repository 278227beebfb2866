"""The closed lists that a symptom is made of. Their words stand in the database and in the API."""

from enum import StrEnum


class Kind(StrEnum):
    """What is wrong. Each kind has facts of its own (declared.py)."""

    HOST = "host"
    LIBVIRT = "libvirt"
    CHECK = "check"
    ANSWER = "answer"
    SAME_MACHINE = "same-machine"
    FILE_SYSTEM = "file-system"
    ROOM = "room"
    UNREADABLE = "unreadable"
    DRIVE = "drive"
    DRIVES_UNREAD = "drives-unread"
    VM_CRASHED = "vm-crashed"
    VM_PAUSED = "vm-paused"
    VM_OFF = "vm-off"
    VM_GONE = "vm-gone"
    VM_RESTARTS = "vm-restarts"
    TWO_HOSTS = "two-hosts"
    IMAGE = "image"
    IMAGE_ERROR = "image-error"
    STORE_ERROR = "store-error"
    STORE_ROOM = "store-room"
    BACKUP_FAILED = "backup-failed"
    REHEARSAL_FAILED = "rehearsal-failed"


class Level(StrEnum):
    """How much it matters: watch asks for a look, bad for an act."""

    WATCH = "watch"
    BAD = "bad"


class About(StrEnum):
    """What is in trouble. A VM's trouble does not make its host unfit for others."""

    HOST = "host"
    VM = "vm"
    STORE = "store"


class SubjectKind(StrEnum):
    """The sort of thing that a symptom is seen on."""

    HOST = "host"
    DRIVE = "drive"
    FILE_SYSTEM = "file-system"
    IMAGE = "image"
    VM = "vm"
    DISK = "disk"
    STORE = "store"
    GENERATION = "generation"
    COPIES = "copies"  # of one VM in one store
    PANEL = "panel"
