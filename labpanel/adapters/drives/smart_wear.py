"""How much of an SSD's rated endurance is used, in percent, from whatever place tells it.

smartctl 7.5 has `endurance_used`; before it the drive's device statistics (ACS-4, log 04h, page 7),
SCSI's own indicator (SBC-4, log page 11h) and the makers' attributes say the same.
"""

import re

from labpanel.lib.drives import Attribute

# A byte of all ones in statistics of ATA and SCSI is what stands in it when nothing was counted.
_MOST = 254
# Attributes whose value counts down from 100 (drivedb.h): 169 Remaining_Lifetime_Perc, 173
# Ave_Block-Erase_Count, 177 Wear_Leveling_Count, 202 Percent_Lifetime_Remain, 231 SSD_Life_Left,
# 233 Media_Wearout_Indicator …
_NUMBERS = (169, 173, 177, 202, 209, 230, 231, 233, 245, 248)
# … and their names, since makers use the same numbers for other things: SandForce_Internal,
# NAND_GB_Written_TLC, Wear_Range_Delta, Total_Bad_Blocks, Data_Address_Mark_Errs.
_NAMES = re.compile(r"life|wear.?(level|out)|erase|p/?e_c(ycle|ount)", re.IGNORECASE)
_OTHERS = re.compile(r"fail|error|range|delta|curve|status|total|min_|max_", re.IGNORECASE)
_UNNAMED = re.compile(r"unknown|^$", re.IGNORECASE)
_LIFETIME = 202
_REMAINING_IN_RAW = 169  # Silicon Motion: the value stays at 100, the raw number counts down


def worn(said: list[int | None], attributes: dict[int, Attribute]) -> int | None:
    """The largest of what `said` (statistics of the drive) and its attributes tell; None where
    nothing does."""
    by_attribute = [_by(row) for number, row in attributes.items() if number in _NUMBERS]
    known = [used for used in (*said, *by_attribute) if used is not None and used >= 0]
    return max(known, default=None)


def statistic(value: object) -> int | None:
    """A statistic of one byte of ATA or SCSI; None where nothing stands in it."""
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 <= value <= _MOST else None


def _by(row: Attribute) -> int | None:
    if row.number == _LIFETIME and not _OTHERS.search(row.name):
        used = _counted_up(row)
        if used is not None:
            return used
    if not _NAMES.search(row.name) or _OTHERS.search(row.name):
        return None
    left = row.value
    if row.number == _REMAINING_IN_RAW and row.raw is not None and 0 < row.raw < (left or 101):
        left = row.raw
    # 0 is not a valid value (ACS-2, SMART attributes): some drives leave it so.
    return 100 - left if left is not None and 0 < left <= 100 else None


def _counted_up(row: Attribute) -> int | None:
    """Micron's and Crucial's: raw counts the used percent up, the value the rest down, modulo 256
    once more than all is used (253 beside 103). That fit names it where smartctl has no name."""
    if row.raw is None or row.value is None or not 0 <= row.raw <= 1000:
        return None
    if row.value == 0 and row.raw >= 100:
        return row.raw
    fits = (100 - row.raw) % 256 == row.value
    is_known = bool(_NAMES.search(row.name)) or bool(_UNNAMED.search(row.name) and row.raw)
    return row.raw if fits and is_known else None
