"""What is known of a VM's own trouble. `since` is when it was first seen so."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Crash(StrEnum):
    """By libvirt's reason."""

    CRASHED = "crashed"
    FAILED = "failed"
    DAEMON = "daemon"
    PANICKED = "panicked"


@dataclass(frozen=True, slots=True)
class VmCrashed:
    vm: str
    host: str
    how: Crash
    since: datetime


class Pause(StrEnum):
    """Why QEMU or libvirt stopped it."""

    NO_SPACE = "no space"
    DISK_ERROR = "disk error"
    UNKNOWN_DISK = "unknown disk"
    WATCHDOG = "watchdog"
    POSTCOPY = "post-copy"
    API_ERROR = "api error"


@dataclass(frozen=True, slots=True)
class VmPaused:
    """`disks` are those that stopped it, where a disk did."""

    vm: str
    host: str
    why: Pause
    disks: tuple[str, ...]
    since: datetime


@dataclass(frozen=True, slots=True)
class VmOff:
    """It ran when it was last seen on. `host_restarted`: in an earlier boot of its host."""

    vm: str
    host: str
    host_restarted: bool
    autostart: bool
    since: datetime


@dataclass(frozen=True, slots=True)
class VmGone:
    vm: str
    host: str
    persistent: bool
    since: datetime


@dataclass(frozen=True, slots=True)
class VmRestarts:
    """Started again `times` within `minutes`, last at `since`, without having been asked."""

    vm: str
    host: str
    times: int
    minutes: int
    since: datetime


@dataclass(frozen=True, slots=True)
class OnTwoHosts:
    """`other` reports a VM that is `owner`'s."""

    vm: str
    owner: str
    other: str
