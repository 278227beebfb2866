"""`smartctl --json -x` → labpanel.lib.drives.Drive. Format: smartctl(8) and its ataprint.cpp,
nvmeprint.cpp, scsiprint.cpp, versions 7.0 to 7.5."""

import json
import re
from typing import Any

from labpanel.lib.drives import Attribute, Drive, SelfTest

# Bits of the exit status (smartctl(8)): only the lowest two mean that there is no data. Both
# together are what `-n standby,3` makes of a drive that sleeps.
NO_DATA_BITS = 0b11
STANDBY = 3
_OUTCOMES = {0: "passed", 1: "aborted", 2: "aborted", 3: "fatal", 15: "running"}
_NVME_OUTCOMES = {0: "passed", 5: "fatal", 6: "failed", 7: "failed", 15: "running"}
Json = dict[str, Any]


def parse(text: str, device: str, interface: str, status: int) -> Drive:
    """One drive's answer; `status` is smartctl's exit status. Never raises."""
    try:
        said = json.loads(text)
    except ValueError:
        return Drive(device, interface, state="no-data", why="smartctl gave no readable answer")
    if not isinstance(said, dict):
        return Drive(device, interface, state="no-data", why="smartctl gave no readable answer")
    if status == STANDBY:
        return Drive(device, interface, state="standby", why="the drive sleeps and is not woken")
    own = _of(said, "smartctl").get("exit_status", status)
    protocol = str(_of(said, "device").get("protocol", ""))
    if own & NO_DATA_BITS or not protocol:
        return Drive(device, interface, state="no-data", why=_messages(said))
    return _drive(said, device, interface, protocol)


def _drive(said: Json, device: str, interface: str, protocol: str) -> Drive:
    nvme = _of(said, "nvme_smart_health_information_log")
    return Drive(
        device=device,
        interface=interface or str(_of(said, "device").get("type", "")),
        protocol=protocol,
        model=str(said.get("model_name") or said.get("scsi_model_name") or ""),
        serial=str(said.get("serial_number", "")),
        wwn=_wwn(said),
        firmware=str(said.get("firmware_version") or said.get("scsi_revision") or ""),
        size_bytes=_number(_of(said, "user_capacity").get("bytes")),
        is_ssd=_is_ssd(said, protocol),
        passed=_of(said, "smart_status").get("passed"),
        temperature=_number(_of(said, "temperature").get("current")),
        hours=_number(_of(said, "power_on_time").get("hours")),
        attributes=_attributes(said),
        tests=(*_ata_tests(said), *_nvme_tests(said), *_scsi_tests(said)),
        log_errors=_log_errors(said),
        endurance_used=_first(
            nvme.get("percentage_used"), _of(said, "endurance_used").get("current_percent")
        ),
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


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _first(*values: object) -> int | None:
    return next((number for number in map(_number, values) if number is not None), None)


def _messages(said: Json) -> str:
    rows = _of(said, "smartctl").get("messages") or []
    texts = [str(row.get("string", "")) for row in rows if isinstance(row, dict)]
    return "; ".join(filter(None, texts)) or "smartctl could not open the drive"


def _wwn(said: Json) -> str:
    """As udev writes it: 0x, then naa, oui, id in hexadecimal."""
    parts = _of(said, "wwn")
    numbers = [_number(parts.get(name)) for name in ("naa", "oui", "id")]
    if None not in numbers:
        return f"0x{numbers[0]:x}{numbers[1]:06x}{numbers[2]:09x}"
    return str(said.get("logical_unit_id", ""))


def _is_ssd(said: Json, protocol: str) -> bool | None:
    """A rotation rate of 0 is smartctl's "Solid State Device"."""
    rate = _number(said.get("rotation_rate"))
    if rate is not None:
        return rate == 0
    names = f"{said.get('model_family', '')} {said.get('model_name', '')}"
    if protocol == "NVMe" or "SSD" in names.upper() or _of(said, "trim").get("supported"):
        return True
    return None


def _attributes(said: Json) -> dict[int, Attribute]:
    rows = _of(said, "ata_smart_attributes").get("table") or []
    return {row["id"]: _attribute(row) for row in rows if isinstance(row, dict) and "id" in row}


def _attribute(row: Json) -> Attribute:
    raw = _of(row, "raw")
    # The string is smartctl's reading by the drive's own format; the value is all 48 bits.
    found = re.match(r"\s*(\d+)", str(raw.get("string", "")))
    return Attribute(
        number=row["id"],
        name=str(row.get("name", "")),
        value=_number(row.get("value")),
        threshold=_number(row.get("thresh")),
        raw=int(found[1]) if found else _number(raw.get("value")),
        when_failed=str(row.get("when_failed") or ""),
    )


def _ata_tests(said: Json) -> list[SelfTest]:
    log = _of(said, "ata_smart_self_test_log")
    rows = (_of(log, "extended") or _of(log, "standard")).get("table") or []
    tests = []
    for row in filter(None, rows):
        status = _of(row, "status")
        code = _number(status.get("value"))
        passed, text = status.get("passed"), str(status.get("string", ""))
        outcome = (
            _OUTCOMES.get(code >> 4, "failed")
            if code is not None
            else outcome_of(text, passed=passed)
        )
        tests.append(
            SelfTest(
                str(_of(row, "type").get("string", "")),
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
    rows = _of(said, "nvme_self_test_log").get("table") or []
    tests = []
    for row in filter(None, rows):  # the table may hold nulls
        result = _of(row, "self_test_result")
        outcome = _NVME_OUTCOMES.get(_number(result.get("value")) or 0, "aborted")
        kind = str(_of(row, "self_test_code").get("string", ""))
        hours = _number(row.get("power_on_hours"))
        tests.append(SelfTest(kind, outcome, str(result.get("string", "")), hours))
    return tests


def _scsi_tests(said: Json) -> list[SelfTest]:
    tests = []
    for number in range(20):
        row = _of(said, f"scsi_self_test_{number}")
        if row:
            result = _of(row, "result")
            outcome = _OUTCOMES.get(_number(result.get("value")) or 0, "failed")
            kind = str(_of(row, "code").get("string", ""))
            tests.append(SelfTest(kind, outcome, str(result.get("string", ""))))
    return tests


def _log_errors(said: Json) -> dict[str, int]:
    """How often each word stands in the entries of the ATA error log."""
    text = json.dumps(_of(said, "ata_smart_error_log"))
    counts = {word: text.count(f"Error: {word}") for word in ("UNC", "ICRC", "IDNF")}
    return {word: count for word, count in counts.items() if count}


def _uncorrected(said: Json) -> int | None:
    rows = [row for row in _of(said, "scsi_error_counter_log").values() if isinstance(row, dict)]
    counts = [_number(row.get("total_uncorrected_errors")) for row in rows]
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
