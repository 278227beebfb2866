"""What a drive says of itself (SMART), as one value. Standard library only."""

from dataclasses import dataclass, field


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
    """`outcome`: passed, failed, fatal (no result, of unknown cause), aborted, running."""

    kind: str
    outcome: str
    said: str
    hours: int | None = None

    @property
    def is_long(self) -> bool:
        return "extended" in self.kind.lower() or "long" in self.kind.lower()


@dataclass(frozen=True, slots=True)
class Drive:
    """One reading. `state`: read, standby (asleep, not woken), no-data (`why` says why).

    A number that the drive does not give is None, never 0. Temperatures in °C. `tests` newest
    first. `log_errors` counts the words of the drive's own error log: UNC, ICRC, IDNF.
    """

    device: str
    interface: str = ""
    protocol: str = ""
    state: str = "read"
    why: str = ""
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
