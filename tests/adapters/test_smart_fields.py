"""The same quantity under the names that smartctl 7.0 to 7.5 gives it, and counters that hold none.

Names from ataprint.cpp, scsiprint.cpp, nvmeprint.cpp and drivedb.h; inputs beside the checkout.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from hosts.rules.health.drives import judge
from labpanel.adapters.drives import smart_json
from labpanel.lib.drives import DriveReading
from labpanel.symptoms.words.drives import reason

CASES = Path(__file__).resolve().parents[2].parent / "shared" / "cases" / "smart"


def parse(said: dict[str, Any]) -> DriveReading:
    return smart_json.parse(json.dumps(said), "/dev/sda", "", 0)


def said(protocol: str, **changes: Any) -> dict[str, Any]:
    kind = {"ATA": "sat", "SCSI": "scsi", "NVMe": "nvme"}[protocol]
    base: dict[str, Any] = {
        "smartctl": {"exit_status": 0},
        "device": {"type": kind, "protocol": protocol},
        "smart_status": {"passed": True},
        "rotation_rate": 0,
    }
    return base | changes


def row(number: int, name: str, value: int, raw: int) -> dict[str, Any]:
    text = {"value": raw, "string": str(raw)}
    return {"id": number, "name": name, "value": value, "thresh": 0, "raw": text}


def table(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"ata_smart_attributes": {"table": list(rows)}}


def statistic(page: int, offset: int, value: int, *, valid: bool = True) -> dict[str, Any]:
    place = {"offset": offset, "name": "a name", "value": value, "flags": {"valid": valid}}
    pages = [{"number": 1, "table": [None]}, {"number": page, "table": [place]}]
    return {"ata_device_statistics": {"pages": pages}}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("sas-temperature-7.4.json", "it is hot: 71 °C"),
        ("sas-wear-7.4.json", "104 % of its rated endurance is used"),
        ("sata-wear-7.3-statistics.json", "112 % of its rated endurance is used"),
        ("sata-wear-attribute-202.json", "96 % of its rated endurance is used"),
    ],
)
def test_cases(name: str, words: str) -> None:
    if not CASES.is_dir():
        pytest.skip("no cases beside this checkout")
    verdict = judge(parse(json.loads((CASES / name).read_text())))
    assert (verdict.level, reason(verdict.signs)) == ("watch", words)


@pytest.mark.parametrize(
    ("fields", "degrees"),
    [
        ({"temperature": {"current": 34, "drive_trip": 65}}, 34),  # 7.0
        ({"scsi_environmental_reports": {"temperature_1": {"current": 71}}}, 71),  # 7.4
        (
            {
                "temperature": {"current": 0},
                "scsi_environmental_reports": {
                    "temperature_1": {"current": 41},
                    "temperature_2": {"current": 66},
                },
            },
            66,
        ),
        ({"scsi_environmental_reports": {"temperature_1": {"current": 255}}}, None),
        ({"scsi_environmental_reports": {"relative_humidity_1": {"current": 40}}}, None),
        ({}, None),
    ],
)
def test_a_sas_drives_temperature(fields: dict[str, Any], degrees: int | None) -> None:
    assert parse(said("SCSI", scsi_grown_defect_list=0, **fields)).temperature == degrees


@pytest.mark.parametrize(
    ("protocol", "fields", "used"),
    [
        ("SCSI", {"scsi_percentage_used_endurance_indicator": 104}, 104),
        ("SCSI", {"endurance_used": {"current_percent": 7}}, 7),  # 7.5
        ("SCSI", {"scsi_percentage_used_endurance_indicator": 255}, None),
        ("ATA", statistic(7, 8, 112), 112),
        ("ATA", statistic(7, 8, 112, valid=False), None),
        ("ATA", statistic(7, 8, 255), None),
        ("ATA", {**statistic(7, 8, 3), **table(row(177, "Wear_Leveling_Count", 2, 2900))}, 98),
        ("ATA", {**statistic(7, 8, 255), **table(row(233, "Media_Wearout_Indicator", 98, 0))}, 2),
        ("ATA", {"endurance_used": {"current_percent": 93}}, 93),
        ("ATA", table(row(202, "Percent_Lifetime_Remain", 4, 96)), 96),
        ("ATA", table(row(202, "Percent_Lifetime_Used", 1, 99)), 99),
        ("ATA", table(row(202, "Percent_Lifetime_Remain", 253, 103)), 103),
        ("ATA", table(row(202, "Percent_Lifetime_Remain", 74, 282)), 282),
        ("ATA", table(row(202, "Percent_Lifetime_Remain", 0, 100)), 100),
        ("ATA", table(row(202, "Percent_Lifetime_Remain", 98, 98)), 2),
        ("ATA", table(row(202, "Unknown_SSD_Attribute", 4, 96)), 96),
        ("ATA", table(row(202, "Unknown_SSD_Attribute", 100, 0)), None),
        ("ATA", table(row(202, "Data_Address_Mark_Errs", 100, 0)), None),
        ("ATA", table(row(231, "SSD_Life_Left", 3, 3)), 97),
        ("ATA", table(row(231, "SSD_Life_Left", 100, 0)), 0),
        ("ATA", table(row(231, "Temperature_Celsius", 28, 28)), None),
        ("ATA", table(row(233, "Media_Wearout_Indicator", 5, 0)), 95),
        ("ATA", table(row(233, "SandForce_Internal", 0, 91107)), None),
        ("ATA", table(row(233, "NAND_GB_Written_TLC", 1, 8017)), None),
        ("ATA", table(row(177, "Wear_Leveling_Count", 1, 2431)), 99),
        ("ATA", table(row(177, "Wear_Range_Delta", 0, 86)), None),
        ("ATA", table(row(169, "Remaining_Lifetime_Perc", 100, 6)), 94),
        ("ATA", table(row(169, "Remaining_Lifetime_Perc", 94, 94)), 6),
        ("ATA", table(row(169, "Total_Bad_Blocks", 100, 114)), None),
        ("ATA", table(row(173, "Ave_Block-Erase_Count", 8, 2760)), 92),
        ("ATA", table(row(173, "Ave_Block-Erase_Count", 253, 1554)), None),
        ("ATA", {**table(row(177, "Wear_Leveling_Count", 1, 9)), "rotation_rate": 7200}, None),
        ("NVMe", {"nvme_smart_health_information_log": {"percentage_used": 255}}, 255),
    ],
)
def test_how_worn(protocol: str, fields: dict[str, Any], used: int | None) -> None:
    assert parse(said(protocol, **fields)).endurance_used == used


def test_wear_is_judged_though_a_bridge_hides_that_it_is_an_ssd() -> None:
    hidden = said("ATA", **table(row(231, "SSD_Life_Left", 3, 3)))
    del hidden["rotation_rate"]
    verdict = judge(parse(hidden))
    assert (verdict.level, "97 % of its rated" in reason(verdict.signs)) == ("watch", True)


@pytest.mark.parametrize("bits", [32, 48, 64, 128])
def test_a_counter_of_all_ones_holds_no_value(bits: int) -> None:
    ones = 2**bits - 1
    names = ((5, "Reallocated"), (187, "Reported"), (197, "Pending"), (199, "CRC"))
    disk = parse(
        said("ATA", rotation_rate=7200, **table(*(row(n, t, 100, ones) for n, t in names)))
    )
    assert [disk.raw(number) for number, _ in names] == [None] * 4
    assert judge(disk).level == "unknown"
    sas = parse(
        said(
            "SCSI",
            scsi_grown_defect_list=ones,
            scsi_pending_defects={"count": ones},
            scsi_error_counter_log={"read": {"total_uncorrected_errors": ones}},
        )
    )
    assert (sas.grown_defects, sas.pending_logged, sas.uncorrected) == (None, None, None)
    log = {"critical_warning": 0, "media_errors": ones, "critical_comp_time": ones}
    nvme = parse(said("NVMe", nvme_smart_health_information_log=log))
    assert (nvme.media_errors, nvme.critical_minutes, judge(nvme).level) == (None, None, "good")


def test_uncorrected_errors_count_where_one_of_them_holds_none() -> None:
    log = {
        "read": {"total_uncorrected_errors": 2**64 - 1},
        "write": {"total_uncorrected_errors": 3},
    }
    assert parse(said("SCSI", scsi_error_counter_log=log)).uncorrected == 3


def test_16_ones_are_the_end_of_a_counter_if_the_value_fell_with_it() -> None:
    stopped = parse(said("ATA", **table(row(187, "Reported_Uncorrect", 1, 65535))))
    empty = parse(said("ATA", **table(row(187, "Reported_Uncorrect", 100, 65535))))
    assert (stopped.raw(187), empty.raw(187)) == (65535, None)


def test_an_nvme_whose_controller_fell_silent_gives_nothing() -> None:
    log = {"critical_warning": 255, "percentage_used": 255, "available_spare": 255}
    silent = parse(said("NVMe", nvme_smart_health_information_log={**log, "media_errors": 2**64}))
    assert (silent.critical_warning, silent.endurance_used, silent.available_spare) == (None,) * 3
    assert judge(silent).level == "unknown"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"scsi_pending_defects": {"count": 20}}, "20 sectors cannot be read"),
        ({"scsi_pending_defects": {"count": 0}}, "nothing speaks against it"),
    ],
)
def test_pending_defects_of_sas(fields: dict[str, Any], words: str) -> None:
    assert reason(judge(parse(said("SCSI", **fields))).signs).startswith(words)


def test_pending_and_reported_by_other_names() -> None:
    fields = {**statistic(4, 8, 12), "ata_pending_defects_log": {"count": 24}}
    verdict = judge(parse(said("ATA", rotation_rate=7200, **fields)))
    assert verdict.level == "bad"
    assert "24 sectors cannot be read" in reason(verdict.signs)
    assert "it reported 12 uncorrectable errors" in reason(verdict.signs)


@pytest.mark.parametrize("status", [0x90, 0xA1, 0xB0, 0xE5])
def test_a_reserved_code_of_a_self_test_says_nothing(status: int) -> None:
    """ataprint.cpp: only 3 to 8 are failures."""
    test = {"type": {"string": "Short offline"}, "status": {"value": status, "passed": True}}
    log = {"ata_smart_self_test_log": {"extended": {"table": [test]}}}
    found = parse(said("ATA", **table(row(5, "Reallocated_Sector_Ct", 100, 0)), **log))
    assert ([each.outcome for each in found.tests], judge(found).level) == (["unknown"], "good")


def test_an_entry_of_the_error_log_may_have_several_words() -> None:
    entries = [
        {"error_description": "Error: ICRC, UNC, ABRT 8 sectors at LBA = 0x00001"},
        {"error_description": "Error: UNC at LBA = 0x0002"},
    ]
    log = {"ata_smart_error_log": {"extended": {"table": entries}}}
    assert parse(said("ATA", **log)).log_errors == {"UNC": 2, "ICRC": 1}


@pytest.mark.parametrize(
    ("protocol", "fields"),
    [
        ("ATA", {}),
        (
            "ATA",
            table(row(9, "Power_On_Hours", 90, 12345), row(199, "UDMA_CRC_Error_Count", 200, 0)),
        ),
        ("ATA", table(row(187, "Reported_Uncorrect", 100, 30_818_849))),  # packed
        ("SCSI", {"scsi_vendor": "EXAMPLE", "temperature": {"current": 30}}),
        ("NVMe", {}),
    ],
)
def test_its_own_verdict_alone_is_not_good(protocol: str, fields: dict[str, Any]) -> None:
    verdict = judge(parse(said(protocol, **fields)))
    assert verdict.level == "unknown"
    assert reason(verdict.signs).startswith("nothing is known beyond its own verdict")
