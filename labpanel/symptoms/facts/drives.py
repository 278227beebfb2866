"""What speaks against a drive, and which drives cannot be asked."""

from dataclasses import dataclass
from enum import StrEnum


class Sign(StrEnum):
    """One thing that a drive's own data shows. `count` of a DriveSign is its number, `name` the
    attribute's or the program's own word."""

    SELF_FAILING = "self-failing"
    AT_THRESHOLD = "at-threshold"
    WAS_AT_THRESHOLD = "was-at-threshold"
    WAS_HOT = "was-hot"
    OLD_TEST_FAILED = "old-test-failed"
    TEST_FATAL = "test-fatal"
    TEST_FAILS = "test-fails"
    PENDING = "pending"
    OFFLINE = "offline"
    REALLOCATED = "reallocated"
    REPORTED = "reported"
    END_TO_END = "end-to-end"
    SPIN_RETRY = "spin-retry"
    NO_PENDING_COUNT = "no-pending-count"
    LOGGED_UNREADABLE = "logged-unreadable"
    NO_ERROR_COUNTS = "no-error-counts"
    HARMLESS_PENDING = "harmless-pending"
    BLOCKS_REPLACED = "blocks-replaced"
    MET_ERRORS = "met-errors"
    MANY_CRC = "many-crc"
    SOME_CRC = "some-crc"
    NO_SPARES = "no-spares"
    UNRELIABLE = "unreliable"
    NO_WRITES = "no-writes"
    BAD_TEMPERATURE = "bad-temperature"
    NO_POWER_LOSS_PROTECTION = "no-power-loss-protection"
    CRITICALLY_HOT = "critically-hot"
    GROWN_DEFECTS = "grown-defects"
    WORN = "worn"
    HOT = "hot"
    DISGUISED = "disguised"
    NO_SMART_DATA = "no-smart-data"
    NOTHING_BUT_VERDICT = "nothing-but-verdict"
    NO_DATA = "no-data"
    SAID = "said"  # `name` is smartctl's own reason for no data
    NOTHING_AGAINST = "nothing-against"


@dataclass(frozen=True, slots=True)
class DriveSign:
    sign: Sign
    count: int = 0
    name: str = ""


class Remedy(StrEnum):
    """What is to be done about a drive."""

    REPLACE = "replace"
    PENDING = "pending"
    CABLE = "cable"
    COOL = "cool"
    WATCH = "watch"


@dataclass(frozen=True, slots=True)
class DriveTrouble:
    """`signs` worst first; `asked_at` is the device that smartctl was asked at."""

    host: str
    device: str
    model: str
    failing: bool
    signs: tuple[DriveSign, ...]
    remedy: Remedy
    asked_at: str


@dataclass(frozen=True, slots=True)
class Unread:
    """A drive that gave no data; no signs where smartctl does not list it."""

    device: str
    signs: tuple[DriveSign, ...] = ()


@dataclass(frozen=True, slots=True)
class UnreadDrives:
    """`error` is set where smartctl could not be run at all; else `drives` are those unread."""

    host: str
    error: str = ""
    drives: tuple[Unread, ...] = ()
