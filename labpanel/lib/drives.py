"""What a drive says of itself (SMART), as one value. Standard library only."""

from dataclasses import dataclass, field, replace

from labpanel.lib.closed import MOST_WHOLE
from labpanel.lib.printable import printable


@dataclass(frozen=True, slots=True)
class Attribute:
    """One row of an ATA drive's table. `raw` is the first number of smartctl's own reading of
    the raw field, None where there is none. `when_failed` is "", "now" or "past"."""

    number: int
    name: str
    value: int | None
    threshold: int | None
    raw: int | None
    when_failed: str = ""


@dataclass(frozen=True, slots=True)
class SelfTest:
    """`outcome`: passed, failed, fatal (no result, of unknown cause), aborted, running, unknown
    (a code that no standard names: it says nothing)."""

    kind: str
    outcome: str
    said: str
    hours: int | None = None

    @property
    def is_long(self) -> bool:
        return "extended" in self.kind.lower() or "long" in self.kind.lower()


@dataclass(frozen=True, slots=True)
class DriveReading:
    """One reading. `state`: read, standby (asleep, not woken), no-data (`why` says why).

    A number that the drive does not give is None, never 0. Temperatures in °C. `tests` newest
    first. `log_errors` counts the words of the drive's own error log: UNC, ICRC, IDNF.
    `pending_logged` is the length of its list of unreadable places, `reported_errors` the same
    quantity as attribute 187 where it comes from elsewhere. `vendor` is SCSI's.
    """

    device: str
    interface: str = ""
    protocol: str = ""
    state: str = "read"
    why: str = ""
    vendor: str = ""
    model: str = ""
    serial: str = ""
    wwn: str = ""
    firmware: str = ""
    size_bytes: int | None = None
    is_ssd: bool | None = None
    passed: bool | None = None
    temperature: int | None = None
    hours: int | None = None
    attributes: dict[int, Attribute] = field(default_factory=dict)
    tests: tuple[SelfTest, ...] = ()
    log_errors: dict[str, int] = field(default_factory=dict)
    endurance_used: int | None = None
    pending_logged: int | None = None
    reported_errors: int | None = None
    # NVMe's health log (NVM Express base specification, log page 02h)
    critical_warning: int | None = None
    media_errors: int | None = None
    available_spare: int | None = None
    critical_minutes: int | None = None
    # SCSI
    grown_defects: int | None = None
    uncorrected: int | None = None
    disagreements: tuple[str, ...] = ()

    def raw(self, number: int) -> int | None:
        attribute = self.attributes.get(number)
        return attribute.raw if attribute else None

    @property
    def is_silent(self) -> bool:
        """Nothing was read of this drive: its state is unknown."""
        return self.state == "no-data" or (self.is_disguised and self.passed is not False)

    @property
    def is_disguised(self) -> bool:
        """A SATA drive that was asked as SCSI: its translation layer answers for it, with "ATA" as
        the vendor (SAT-4, 8.1), and leaves out everything that counts."""
        return self.protocol == "SCSI" and self.vendor.strip().upper() == "ATA"


_MOST_ATTRIBUTES = 256  # their numbers have one byte (ACS-2, SMART READ DATA)
_MOST_TESTS = 64
_HOTTEST = 1000  # °C
# What a counter of so many bits reads when nothing stands in it, or there was no answer.
_ALL_ONES = {2**bits - 1 for bits in (32, 40, 48, 56)}
_ONES_16 = 2**16 - 1
_UNWORN = 100  # an attribute's value at the start; some begin with 200 or 253
_ONES_8 = 2**8 - 1


def held(drive: DriveReading) -> DriveReading:
    """The same with every value of its type and range: a number that cannot be is None, a word is
    made printable and cut. Both of smartctl's readings are made of what a drive and a host say."""
    words = {
        name: _word(getattr(drive, name), most)
        for name, most in (
            ("why", 500),
            ("vendor", 64),
            ("model", 128),
            ("serial", 128),
            ("wwn", 128),
        )
    }
    counts = (
        "size_bytes",
        "hours",
        "endurance_used",
        "media_errors",
        "critical_minutes",
        "pending_logged",
        "reported_errors",
        "grown_defects",
        "uncorrected",
    )
    rows = list(drive.attributes.values())[:_MOST_ATTRIBUTES]
    known = [row for row in rows if _count(row.number, 255) is not None]
    return replace(
        drive,
        **words,  # type: ignore[arg-type]
        **{name: counter(getattr(drive, name)) for name in counts},  # type: ignore[arg-type]
        critical_warning=_byte(drive.critical_warning),
        available_spare=_byte(drive.available_spare),
        interface=_word(drive.interface, 32),
        protocol=_word(drive.protocol, 16),
        firmware=_word(drive.firmware, 64),
        is_ssd=_flag(drive.is_ssd),
        passed=_flag(drive.passed),
        temperature=_count(drive.temperature, _HOTTEST, least=-273),
        attributes={row.number: _attribute(row) for row in known},
        tests=tuple(map(_test, drive.tests[:_MOST_TESTS])),
        log_errors={word: count for word, count in drive.log_errors.items() if _count(count)},
        disagreements=tuple(_word(words, 255) for words in drive.disagreements[:_MOST_TESTS]),
    )


def _attribute(row: Attribute) -> Attribute:
    value, raw = _count(row.value), counter(row.raw)
    if raw == _ONES_16 and (value is None or value >= _UNWORN):
        raw = None  # a counter that stopped at its end has worn the value down with it
    return Attribute(
        number=row.number,
        name=_word(row.name, 64),
        value=value,
        threshold=_count(row.threshold),
        raw=raw,
        when_failed=_word(row.when_failed, 32),
    )


def _test(row: SelfTest) -> SelfTest:
    words = (_word(row.kind, 64), _word(row.outcome, 16), _word(row.said, 128))
    return SelfTest(*words, _count(row.hours))


def _word(value: object, most: int) -> str:
    return printable(value, most) if isinstance(value, str) else ""


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _count(value: object, most: int = MOST_WHOLE, *, least: int = 0) -> int | None:
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if least <= value <= most else None


def counter(value: object) -> int | None:
    """A count; None for one whose bits are all ones: 64 and more of them are too large anyway."""
    known = _count(value)
    return None if known in _ALL_ONES else known


def _byte(value: object) -> int | None:
    """A number of one byte, two bits of which at least are always 0."""
    return _count(value, _ONES_8 - 1)
