"""Recordings of a healthy pretend drive, in smartctl's text and JSON form.

Made here, not recorded: the layout is that of `smartctl --all` 7.3 for an ATA
disk (the table with hex FLAGs), the drive exists nowhere.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

BYTES = 2_000_398_934_016
HOURS = 12_345
CELSIUS = 34
PREFAIL = 0x0001
"""Bit 0 of an ATA attribute's flags: the drive is failing once below the threshold."""
UPDATED_ALWAYS = 0x0002
"""Bit 1: updated online too, not only by an off-line test."""


@dataclass(frozen=True)
class SampleDrive:
    """What differs between the pretend drives."""

    name: str
    serial: str
    model: str = "Practice Disk 2000"
    firmware: str = "LP01"


@dataclass(frozen=True)
class Attribute:
    """One row of the attribute table."""

    number: int
    name: str
    flags: int
    value: int
    threshold: int
    raw: int

    @property
    def prefail(self) -> bool:
        """Whether a value at the threshold means that the drive is failing."""
        return bool(self.flags & PREFAIL)

    @property
    def online(self) -> bool:
        """Whether the drive updates it all the time."""
        return bool(self.flags & UPDATED_ALWAYS)


ATTRIBUTES: tuple[Attribute, ...] = (
    Attribute(1, "Raw_Read_Error_Rate", 0x000F, 100, 6, 0),
    Attribute(3, "Spin_Up_Time", 0x0003, 97, 0, 0),
    Attribute(4, "Start_Stop_Count", 0x0032, 100, 20, 61),
    Attribute(5, "Reallocated_Sector_Ct", 0x0033, 100, 10, 0),
    Attribute(7, "Seek_Error_Rate", 0x000F, 85, 45, 0),
    Attribute(9, "Power_On_Hours", 0x0032, 86, 0, HOURS),
    Attribute(10, "Spin_Retry_Count", 0x0013, 100, 97, 0),
    Attribute(12, "Power_Cycle_Count", 0x0032, 100, 20, 58),
    Attribute(187, "Reported_Uncorrect", 0x0032, 100, 0, 0),
    Attribute(188, "Command_Timeout", 0x0032, 100, 0, 0),
    Attribute(192, "Power-Off_Retract_Count", 0x0032, 100, 0, 12),
    Attribute(193, "Load_Cycle_Count", 0x0032, 100, 0, 402),
    Attribute(194, "Temperature_Celsius", 0x0022, 66, 0, CELSIUS),
    Attribute(197, "Current_Pending_Sector", 0x0012, 100, 0, 0),
    Attribute(198, "Offline_Uncorrectable", 0x0010, 100, 0, 0),
    Attribute(199, "UDMA_CRC_Error_Count", 0x003E, 200, 0, 0),
)

HEAD = """\
smartctl 7.3 2022-02-28 r5338 (practice lab stand-in)

=== START OF INFORMATION SECTION ===
Device Model:     {model}
Serial Number:    {serial}
Firmware Version: {firmware}
User Capacity:    {capacity:,} bytes [2.00 TB]
Sector Sizes:     512 bytes logical, 4096 bytes physical
Rotation Rate:    7200 rpm
Form Factor:      3.5 inches
Device is:        Not in smartctl database 7.3/5319
ATA Version is:   ACS-3 T13/2161-D revision 5
SATA Version is:  SATA 3.2, 6.0 Gb/s (current: 6.0 Gb/s)
SMART support is: Available - device has SMART capability.
SMART support is: Enabled

=== START OF READ SMART DATA SECTION ===
SMART overall-health self-assessment test result: PASSED

General SMART Values:
Self-test execution status:      (   0)\tThe previous self-test routine completed
\t\t\t\t\twithout error or no self-test has ever
\t\t\t\t\tbeen run.
Short self-test routine
recommended polling time: \t (   1) minutes.
Extended self-test routine
recommended polling time: \t ( 214) minutes.

SMART Attributes Data Structure revision number: 10
Vendor Specific SMART Attributes with Thresholds:
ID# ATTRIBUTE_NAME          FLAG     VALUE WORST THRESH TYPE      UPDATED  WHEN_FAILED RAW_VALUE
"""

TAIL = """
SMART Error Log Version: 1
No Errors Logged

SMART Self-test log structure revision number 1
Num  Test_Description    Status                  Remaining  LifeTime(hours)  LBA_of_first_error
# 1  Extended offline    Completed without error       00%     {long}         -
# 2  Short offline       Completed without error       00%     {short}         -

"""


def _row(row: Attribute) -> str:
    """One line of the table, in smartctl's column widths."""
    kind = "Pre-fail" if row.prefail else "Old_age "
    updated = "Always " if row.online else "Offline"
    return (
        f"{row.number:3} {row.name:<23} 0x{row.flags:04x}   {row.value:03}   {row.value:03}   "
        f"{row.threshold:03}    {kind}  {updated}      -       {row.raw}"
    )


def text(drive: SampleDrive) -> str:
    """The drive as `smartctl --all` prints it."""
    head = HEAD.format(
        model=drive.model, serial=drive.serial, firmware=drive.firmware, capacity=BYTES
    )
    table = "\n".join(_row(row) for row in ATTRIBUTES)
    return f"{head}{table}\n{TAIL.format(long=HOURS - 70, short=HOURS - 20)}"


def _attribute(row: Attribute) -> dict[str, Any]:
    """One row as `smartctl --json` gives it."""
    flags = {"value": row.flags, "prefailure": row.prefail, "updated_online": row.online}
    return {
        "id": row.number,
        "name": row.name,
        "value": row.value,
        "worst": row.value,
        "thresh": row.threshold,
        "when_failed": "",
        "flags": flags,
        "raw": {"value": row.raw, "string": str(row.raw)},
    }


def _self_test(title: str, hours: int) -> dict[str, Any]:
    status = {"value": 0, "string": "Completed without error", "passed": True}
    return {"type": {"string": title}, "status": status, "lifetime_hours": hours}


def as_json(drive: SampleDrive) -> str:
    """The drive as `smartctl --json -x` prints it, without the parts that are not read."""
    tests = [_self_test("Extended offline", HOURS - 70), _self_test("Short offline", HOURS - 20)]
    device = {"name": drive.name, "info_name": drive.name, "type": "sat", "protocol": "ATA"}
    answer = {
        "json_format_version": [1, 0],
        "smartctl": {"version": [7, 3], "argv": ["smartctl", "-j", "-x"], "exit_status": 0},
        "device": device,
        "model_name": drive.model,
        "serial_number": drive.serial,
        "firmware_version": drive.firmware,
        "user_capacity": {"blocks": BYTES // 512, "bytes": BYTES},
        "logical_block_size": 512,
        "physical_block_size": 4096,
        "rotation_rate": 7200,
        "smart_support": {"available": True, "enabled": True},
        "smart_status": {"passed": True},
        "ata_smart_attributes": {"revision": 10, "table": [_attribute(r) for r in ATTRIBUTES]},
        "power_on_time": {"hours": HOURS},
        "power_cycle_count": 58,
        "temperature": {"current": CELSIUS},
        "ata_smart_error_log": {"summary": {"revision": 1, "count": 0}},
        "ata_smart_self_test_log": {
            "standard": {"revision": 1, "table": tests, "count": len(tests), "error_count_total": 0}
        },
    }
    return json.dumps(answer, indent=2) + "\n"
