"""Drives that share an identity stay two: the good one never closes the other's finding.

Inputs: shared/cases/smart/twins.json beside the checkout, and others of the kind made here.
"""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from hosts.models import Finding, Host, PhysicalDisk
from hosts.selectors import findings as selectors
from hosts.services.checks.check_drives import record
from hosts.services.machines import probe
from labpanel.adapters.looks import host_facts
from labpanel.lib.drives import Attribute, DriveReading
from tests.fakes import host_facts as made
from tests.lab.panels import REPOSITORY
from tests.services.looked import NOW, Ground

CASES = REPOSITORY.parent / "shared" / "cases" / "smart" / "twins.json"
BY_SMART: list[dict[str, Any]] = [
    {
        "case": "same WWN in two spellings",
        "a": {"serial": "A1", "wwn": "0x5000000000000001"},
        "b": {"serial": "B2", "wwn": "naa.5000000000000001"},
    },
    {
        "case": "a WWN of a kind and zeros",
        "a": {"serial": "A1", "wwn": "0x5000000000000000"},
        "b": {"serial": "B2", "wwn": "0x5000000000000000"},
    },
    {
        "case": "a placeholder for a serial number",
        "a": {"serial": "0123456789ABCDEF", "wwn": ""},
        "b": {"serial": "0123456789ABCDEF", "wwn": ""},
    },
    {
        "case": "an enclosure's own serial number",
        "a": {"serial": "DEF10C2B0011", "wwn": ""},
        "b": {"serial": "DEF10C2B0011", "wwn": ""},
    },
    {
        "case": "everything the same",
        "a": {"serial": "S1", "wwn": "0x5000000000000001"},
        "b": {"serial": "S1", "wwn": "0x5000000000000001"},
    },
    {"case": "nothing at all", "a": {"serial": "", "wwn": ""}, "b": {"serial": "", "wwn": ""}},
    {
        "case": "two disks in one box",
        "a": {"serial": "BOX", "wwn": "", "device": "/dev/sdc", "interface": "usbjmicron,0"},
        "b": {"serial": "BOX", "wwn": "", "device": "/dev/sdc", "interface": "usbjmicron,1"},
    },
]


def cases() -> list[dict[str, Any]]:
    given = json.loads(CASES.read_text()) if CASES.is_file() else []
    return given + BY_SMART


def drive(device: str, said: dict[str, Any], pending: int) -> DriveReading:
    row = Attribute(197, "Current_Pending_Sector", 100, 0, pending)
    return DriveReading(
        said.get("device", device),
        said.get("interface", "sat"),
        protocol="ATA",
        model="Example",
        serial=said["serial"],
        wwn=said["wwn"],
        passed=True,
        attributes={197: row},
    )


def pair(
    case: dict[str, Any], *, devices: tuple[str, str] = ("/dev/sda", "/dev/sdb")
) -> list[DriveReading]:
    return [drive(devices[0], case["a"], 300), drive(devices[1], case["b"], 0)]


def held(alpha: Host, at: Any) -> tuple[int, str, dict[str, str]]:
    """Open findings, the sentence of the only one, the levels by pending sectors."""
    found = Finding.objects.get(kind="drive", resolved_at=None)
    levels = {
        str(each.values["counts"]["pending"]): each.level for each in selectors.drives(alpha, at)
    }
    return Finding.objects.count(), found.sentence, levels


@pytest.mark.parametrize("case", cases(), ids=lambda case: str(case["case"]))
@pytest.mark.parametrize("swapped", [False, True])
def test_twins_that_smartctl_lists(ground: Ground, case: dict[str, Any], swapped: bool) -> None:
    alpha = ground.alpha
    for turn in range(4):
        drives = pair(case)
        at = NOW + timedelta(minutes=5 * turn)
        record(alpha, drives[::-1] if swapped and turn % 2 else drives, at)
        count, sentence, levels = held(alpha, at)
        assert count == 1, "neither closed, nor opened again"
        assert sentence.startswith(f"The drive {drives[0].device} (Example) of alpha is failing")
        assert levels == {"300": "bad", "0": "good"}
    assert PhysicalDisk.objects.filter(host=alpha, missing_since=None).count() == 2


@pytest.mark.parametrize("case", cases(), ids=lambda case: str(case["case"]))
def test_twins_that_the_kernel_lists_too(ground: Ground, case: dict[str, Any]) -> None:
    if "device" in case["a"]:
        pytest.skip("the kernel lists one path for both")
    alpha = ground.alpha
    for turn in range(3):
        at = NOW + timedelta(minutes=5 * turn)
        ground.machine.said = made.said(
            mounts=[],
            drives=[
                made.drive(name, model="Example", **{key: said[key] for key in ("serial", "wwn")})
                for name, said in (("sda", case["a"]), ("sdb", case["b"]))
            ],
        )
        ground.look(alpha, at)
        record(alpha, pair(case), at + timedelta(seconds=20))
        count, sentence, levels = held(alpha, at)
        assert (count, levels) == (1, {"300": "bad", "0": "good"})
        assert sentence.startswith("The drive /dev/sda ")
    rows = PhysicalDisk.objects.filter(host=alpha)
    assert sorted(row.device for row in rows) == ["/dev/sda", "/dev/sdb"]


@pytest.mark.parametrize("gone", ["a", "b"])
def test_one_of_two_alone_is_not_taken_for_the_other(ground: Ground, gone: str) -> None:
    """One WWN, two serial numbers: what is left keeps its own row at whatever path."""
    case = {"a": {"serial": "A1", "wwn": "0x51"}, "b": {"serial": "B2", "wwn": "0x51"}}
    record(ground.alpha, pair(case), NOW)
    left = [
        each
        for each in pair(case, devices=("/dev/sdb", "/dev/sda"))
        if each.serial[0] != gone.upper()
    ]
    record(ground.alpha, left, NOW + timedelta(minutes=5))
    assert Finding.objects.filter(kind="drive", resolved_at=None).count() == 1
    assert PhysicalDisk.objects.filter(host=ground.alpha).count() == 2


def test_a_new_disk_at_the_same_path_ends_no_finding_of_the_old(ground: Ground) -> None:
    old = drive("/dev/sda", {"serial": "OLD1", "wwn": "0x5000000000000001"}, 300)
    record(ground.alpha, [old], NOW)
    for number, new in enumerate(({"serial": "NEW2", "wwn": ""}, {"serial": "", "wwn": "0x52"})):
        record(ground.alpha, [drive("/dev/sda", new, 0)], NOW + timedelta(minutes=5 + 5 * number))
        assert Finding.objects.get(kind="drive").resolved_at is None


def test_a_drive_that_moves_keeps_its_row(ground: Ground) -> None:
    said = {"serial": "S1", "wwn": "0x5000000000000001"}
    record(ground.alpha, [drive("/dev/sda", said, 300)], NOW)
    record(ground.alpha, [drive("/dev/sdk", said, 0)], NOW + timedelta(minutes=5))
    assert Finding.objects.get(kind="drive").resolved_at is not None
    assert PhysicalDisk.objects.get(host=ground.alpha).device == "/dev/sdk"


@pytest.mark.parametrize(
    ("by_kernel", "by_smartctl"),
    [
        # scsi_id's serial number of a SAS drive is its WWN; smartctl has the unit's own.
        (
            {"name": "sda", "serial": "35000c500a1b2c3d7", "wwn": "0x5000c500a1b2c3d7"},
            {"device": "/dev/sda", "serial": "ZL2ABCDE", "wwn": "0x5000c500a1b2c3d7"},
        ),
        # smartctl names the controller of an NVMe, and no WWN.
        (
            {"name": "nvme0n1", "serial": "S4EWNX0N", "wwn": "eui.0025385b91b2a3c4"},
            {"device": "/dev/nvme0", "serial": "S4EWNX0N", "wwn": ""},
        ),
        (
            {"name": "nvme0n1", "serial": "", "wwn": "eui.0025385b91b2a3c4"},
            {"device": "/dev/nvme0", "serial": "", "wwn": ""},
        ),
        # Without udev, the kernel's own wwid may be words.
        (
            {"name": "sda", "serial": "", "wwn": "t10.ATA     Example_2T   S1"},
            {"device": "/dev/sda", "serial": "S1", "wwn": "0x5000000000000001"},
        ),
        # Two sources write one serial number differently.
        (
            {"name": "sda", "serial": "WD-WCC_4E1", "wwn": ""},
            {"device": "/dev/sda", "serial": "WD-WCC 4E1", "wwn": ""},
        ),
    ],
)
def test_the_kernels_words_and_smartctls_are_one_drive(
    ground: Ground, by_kernel: dict[str, str], by_smartctl: dict[str, str]
) -> None:
    for turn in range(3):
        at = NOW + timedelta(minutes=5 * turn)
        ground.machine.said = made.said(mounts=[], drives=[made.drive(**by_kernel)])
        ground.look(ground.alpha, at)
        record(ground.alpha, [drive(by_smartctl["device"], by_smartctl, 300)], at)
        row = PhysicalDisk.objects.get(host=ground.alpha)
        assert row.device == f"/dev/{by_kernel['name']}"
    assert Finding.objects.count() == 1


def test_two_sticks_of_one_model_are_two(ground: Ground) -> None:
    sticks = [made.drive(name, serial="", wwn="", model="Ultra") for name in ("sdb", "sdc")]
    for _ in range(2):
        ground.machine.said = made.said(mounts=[], drives=sticks)
        ground.look(ground.alpha)
    rows = PhysicalDisk.objects.filter(host=ground.alpha)
    assert {row.key for row in rows} == {"Ultra /dev/sdb", "Ultra /dev/sdc"}


def test_a_stick_of_another_model_at_the_same_path_is_another(ground: Ground) -> None:
    for model in ("Ultra", "Cruzer"):
        ground.machine.said = made.said(
            mounts=[], drives=[made.drive("sdb", serial="", wwn="", model=model)]
        )
        ground.look(ground.alpha)
    assert PhysicalDisk.objects.filter(host=ground.alpha).count() == 2


def test_a_nameless_stick_that_comes_back_is_the_same(ground: Ground) -> None:
    stick = [made.drive("sdb", serial="", wwn="", model="Ultra")]
    for minute, drives in enumerate((stick, []) * 3):
        ground.machine.said = made.said(mounts=[], drives=drives)
        ground.look(ground.alpha, NOW + timedelta(minutes=minute))
    assert PhysicalDisk.objects.get(host=ground.alpha).missing_since is not None


def test_a_new_drive_where_a_known_one_was_is_new(ground: Ground) -> None:
    """Without a serial number of its own, its place says nothing once the other has left it."""
    named, nameless = (made.drive("sdb", serial=s, wwn=w) for s, w in (("S1", "0x51"), ("", "")))
    for minute, drives in enumerate(([named], [], [nameless])):
        ground.machine.said = made.said(mounts=[], drives=drives)
        ground.look(ground.alpha, NOW + timedelta(minutes=minute))
    assert PhysicalDisk.objects.filter(host=ground.alpha).count() == 2


@pytest.mark.parametrize(
    ("size", "is_same"), [(2**41, True), (2**41 - 2**30, True), (2**40, False), (0, True)]
)
def test_a_nameless_drive_of_another_size_is_another(
    ground: Ground, size: int, is_same: bool
) -> None:
    """Two drives whose boxes have one serial number, one after the other at the same place."""
    for minute, each in enumerate((2**41, size)):
        said = {"serial": "DEF10C2B0011", "wwn": ""}
        found = replace(drive("/dev/sda", said, 300 - 300 * minute), size_bytes=each or None)
        record(ground.alpha, [found], NOW + timedelta(minutes=5 * minute))
    assert (Finding.objects.get(kind="drive").resolved_at is not None) == is_same


def test_what_calls_itself_anew_at_each_look_fills_no_database(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "MOST_KNOWN", 5)
    for number in range(10):
        facts = host_facts.read(
            made.said(mounts=[], drives=[made.drive("sda", serial=f"N{number}", wwn="")])
        )
        probe.record(ground.alpha, facts, timezone.now())
    assert PhysicalDisk.objects.filter(host=ground.alpha).count() == 5
