"""`smartctl --json -x` → lib.drives.DriveReading. Format: smartctl(8) and its ataprint.cpp,
nvmeprint.cpp, scsiprint.cpp, versions 7.0 to 7.5."""

import json
import re
from typing import Any

from labpanel.adapters.answers import safe_json
from labpanel.adapters.drives import smart_wear
from labpanel.lib.drives import Attribute, DriveReading, SelfTest, counter, held

# Bits of the exit status (smartctl(8)): only the lowest two mean that there is no data. Both
# together are what `-n standby,3` makes of a drive that sleeps.
NO_DATA_BITS = 0b11
STANDBY = 3
MOST_CELSIUS = 120  # a sensor that says more is broken
# 9 to 14 are reserved: a drive that says so says nothing.
_OUTCOMES = {
    0: "passed",
    1: "aborted",
    2: "aborted",
    3: "fatal",
    15: "running",
    **dict.fromkeys(range(4, 9), "failed"),
}
_NVME_OUTCOMES = {
    0: "passed",
    5: "fatal",
    6: "failed",
    7: "failed",
    15: "running",
    **dict.fromkeys((1, 2, 3, 4, 8, 9), "aborted"),
}
_NO_ANSWER = "smartctl gave no readable answer"
_ODD = (TypeError, ValueError, KeyError, AttributeError, OverflowError, RecursionError)
Json = dict[str, Any]


def parse(text: str, device: str, interface: str, status: int) -> DriveReading:
    """One drive's answer; `status` is smartctl's exit status. Never raises: an answer of a shape
    that was not foreseen is this drive's alone."""
    try:
        said = safe_json.parse(text)
    except safe_json.UnsafeJson:
        return DriveReading(device, interface, state="no-data", why=_NO_ANSWER)
    if not isinstance(said, dict):
        return DriveReading(device, interface, state="no-data", why=_NO_ANSWER)
    try:
        return held(_read(said, device, interface, status))
    except _ODD:
        why = "smartctl's answer has a shape that is not understood"
        return DriveReading(device, interface, state="no-data", why=why)


def _read(said: Json, device: str, interface: str, status: int) -> DriveReading:
    if status == STANDBY:
        return DriveReading(
            device, interface, state="standby", why="the drive sleeps and is not woken"
        )
    own = _number(_of(said, "smartctl").get("exit_status"))
    own = status if own is None else own
    protocol = _text(_of(said, "device").get("protocol", ""))
    if own & NO_DATA_BITS or not protocol:
        return DriveReading(device, interface, state="no-data", why=_messages(said))
    return _drive(said, device, interface, protocol)


def _drive(said: Json, device: str, interface: str, protocol: str) -> DriveReading:
    nvme = _nvme_log(said)
    attributes = _attributes(said)
    return DriveReading(
        device=device,
        interface=interface or _text(_of(said, "device").get("type", "")),
        protocol=protocol,
        # Before 7.3, SCSI's names had no "scsi_" in front.
        vendor=_word(said, "scsi_vendor", "vendor") if protocol == "SCSI" else "",
        model=_word(said, "model_name", "scsi_model_name"),
        serial=_word(said, "serial_number"),
        wwn=_wwn(said),
        firmware=_word(said, "firmware_version", "scsi_revision", "revision"),
        size_bytes=_number(_of(said, "user_capacity").get("bytes")),
        is_ssd=_is_ssd(said, protocol),
        passed=_of(said, "smart_status").get("passed"),
        temperature=_temperature(said, nvme),
        hours=_number(_of(said, "power_on_time").get("hours")),
        attributes=attributes,
        tests=(*_ata_tests(said), *_nvme_tests(said), *_scsi_tests(said)),
        log_errors=_log_errors(said),
        endurance_used=_endurance(said, nvme, attributes),
        pending_logged=_first(
            _of(said, "ata_pending_defects_log").get("count"),
            _of(said, "scsi_pending_defects").get("count"),
        ),
        reported_errors=_statistic(said, 4, 8),
        critical_warning=_number(nvme.get("critical_warning")),
        media_errors=_number(nvme.get("media_errors")),
        available_spare=_number(nvme.get("available_spare")),
        critical_minutes=_number(nvme.get("critical_comp_time")),
        grown_defects=_number(said.get("scsi_grown_defect_list")),
        uncorrected=_uncorrected(said),
    )


def _of(said: Json, key: str) -> Json:
    value = said.get(key)
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _word(said: Json, *keys: str) -> str:
    """The first of these that says something."""
    return next((text for text in (_text(said.get(key)) for key in keys) if text), "")


def _rows(value: object) -> list[Json]:
    """The rows of a table; it may hold nulls."""
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _first(*values: object) -> int | None:
    return next((number for number in map(_number, values) if number is not None), None)


def _messages(said: Json) -> str:
    rows = _rows(_of(said, "smartctl").get("messages"))
    texts = [_text(row.get("string", "")) for row in rows[:5]]
    return "; ".join(filter(None, texts)) or "smartctl could not open the drive"


def _wwn(said: Json) -> str:
    """As udev writes it: 0x, then naa, oui, id in hexadecimal."""
    parts = _of(said, "wwn")
    numbers = [_number(parts.get(name)) for name in ("naa", "oui", "id")]
    if all(number is not None and 0 <= number < 2**64 for number in numbers):
        return f"0x{numbers[0]:x}{numbers[1]:06x}{numbers[2]:09x}"
    return _text(said.get("logical_unit_id", ""))


def _is_ssd(said: Json, protocol: str) -> bool | None:
    """A rotation rate of 0 is smartctl's "Solid State Device"."""
    rate = _number(said.get("rotation_rate"))
    if rate is not None:
        return rate == 0
    names = f"{said.get('model_family', '')} {said.get('model_name', '')}"
    if protocol == "NVMe" or "SSD" in names.upper() or _of(said, "trim").get("supported"):
        return True
    return None


def _nvme_log(said: Json) -> Json:
    """NVMe's health log; nothing of one that is all ones: its controller fell silent."""
    log = _of(said, "nvme_smart_health_information_log")
    return {} if log.get("critical_warning") == 0xFF else log


def _temperature(said: Json, nvme: Json) -> int | None:
    """°C. SAS drives of smartctl 7.4 on name theirs among their environmental reports, with 0 or
    nothing at the usual place."""
    usual = _number(_of(said, "temperature").get("current"))
    reports = _of(said, "scsi_environmental_reports")
    rows = [row for key, row in reports.items() if key.startswith("temperature")]
    reported = [_number(row.get("current")) for row in rows if isinstance(row, dict)]
    known = [degrees for degrees in reported if degrees is not None and 0 < degrees < MOST_CELSIUS]
    if known:
        return max(*known, usual or 0)
    if usual is not None:
        return usual
    sct = _of(_of(said, "ata_sct_status"), "temperature")
    return _first(nvme.get("temperature"), sct.get("current"))


def _endurance(said: Json, nvme: Json, attributes: dict[int, Attribute]) -> int | None:
    """NVMe writes 255 for "more than 254 %" (NVM Express, log page 02h), and means it."""
    if nvme:
        return _number(nvme.get("percentage_used"))
    stated = [
        smart_wear.statistic(_of(said, "endurance_used").get("current_percent")),
        smart_wear.statistic(said.get("scsi_percentage_used_endurance_indicator")),
        smart_wear.statistic(_statistic(said, 7, 8)),
    ]
    is_disk = _is_ssd(said, "ATA") is False
    return smart_wear.worn(stated, {} if is_disk else attributes)


def _statistic(said: Json, number: int, offset: int) -> int | None:
    """One of the drive's own statistics (ACS-4, log 04h), by its page and place."""
    for page in _rows(_of(said, "ata_device_statistics").get("pages")):
        if page.get("number") != number:
            continue
        for row in _rows(page.get("table")):
            if row.get("offset") == offset and _of(row, "flags").get("valid") is not False:
                return _number(row.get("value"))
    return None


def _attributes(said: Json) -> dict[int, Attribute]:
    rows = _rows(_of(said, "ata_smart_attributes").get("table"))
    return {row["id"]: _attribute(row) for row in rows if _number(row.get("id")) is not None}


def _attribute(row: Json) -> Attribute:
    raw = _of(row, "raw")
    # The string is smartctl's reading by the drive's own format; the value is all 48 bits.
    found = re.match(r"\s*([0-9]{1,19})(?![0-9])", _text(raw.get("string", "")))
    return Attribute(
        number=row["id"],
        name=_text(row.get("name", "")),
        value=_number(row.get("value")),
        threshold=_number(row.get("thresh")),
        raw=int(found[1]) if found else _number(raw.get("value")),
        when_failed=_text(row.get("when_failed") or ""),
    )


def _ata_tests(said: Json) -> list[SelfTest]:
    log = _of(said, "ata_smart_self_test_log")
    rows = _rows((_of(log, "extended") or _of(log, "standard")).get("table"))
    tests = []
    for row in rows:
        status = _of(row, "status")
        code = _number(status.get("value"))
        passed, text = status.get("passed"), _text(status.get("string", ""))
        outcome = (
            _OUTCOMES.get(code >> 4, "unknown")
            if code is not None
            else outcome_of(text, passed=passed)
        )
        tests.append(
            SelfTest(
                _text(_of(row, "type").get("string", "")),
                outcome,
                text,
                _number(row.get("lifetime_hours")),
            )
        )
    return tests


def outcome_of(text: str, *, passed: object = None) -> str:
    """By words, where a log gives no code: `passed` is left out for aborted and fatal ones."""
    lower = text.lower()
    if "fatal" in lower:
        return "fatal"
    if passed is True or "without error" in lower:
        return "passed"
    if "progress" in lower:
        return "running"
    return "failed" if re.search("fail|damage", lower) else "aborted"


def _nvme_tests(said: Json) -> list[SelfTest]:
    tests = []
    for row in _rows(_of(said, "nvme_self_test_log").get("table")):
        result = _of(row, "self_test_result")
        outcome = _outcome(_NVME_OUTCOMES, result)
        kind = _text(_of(row, "self_test_code").get("string", ""))
        hours = _number(row.get("power_on_hours"))
        tests.append(SelfTest(kind, outcome, _text(result.get("string", "")), hours))
    return tests


def _scsi_tests(said: Json) -> list[SelfTest]:
    tests = []
    for number in range(20):
        row = _of(said, f"scsi_self_test_{number}")
        if row:
            result = _of(row, "result")
            outcome = _outcome(_OUTCOMES, result)
            kind = _text(_of(row, "code").get("string", ""))
            tests.append(SelfTest(kind, outcome, _text(result.get("string", ""))))
    return tests


def _outcome(outcomes: dict[int, str], result: Json) -> str:
    code = _number(result.get("value"))
    return "unknown" if code is None else outcomes.get(code, "unknown")


def _log_errors(said: Json) -> dict[str, int]:
    """How often each word stands in the entries of the ATA error log; an entry may have several
    ("Error: ICRC, ABRT 8 sectors at LBA = …")."""
    text = json.dumps(_of(said, "ata_smart_error_log"))
    words = " ".join(re.findall(r"Error: ([A-Z, ]{1,100})", text)).replace(",", " ").split()
    counts = {word: words.count(word) for word in ("UNC", "ICRC", "IDNF")}
    return {word: count for word, count in counts.items() if count}


def _uncorrected(said: Json) -> int | None:
    rows = [row for row in _of(said, "scsi_error_counter_log").values() if isinstance(row, dict)]
    counts = [counter(row.get("total_uncorrected_errors")) for row in rows]
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
