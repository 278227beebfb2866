"""What drives say of themselves, written down and concluded from."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine

from hosts.models import VM, FileSystem, Finding, PhysicalDisk, Reading, VirtualDisk
from hosts.selectors import findings as selectors
from hosts.services.checks import check_drives
from labpanel.adapters.drives import smart
from labpanel.lib.drives import Attribute, DriveReading
from tests.services.looked import HOME, NOW, Ground


def disk(pending: int = 0, **fields: Any) -> DriveReading:
    row = Attribute(197, "Current_Pending_Sector", 100, 0, pending)
    given = {"protocol": "ATA", "model": "Disk 2000", "serial": "S1", "passed": True}
    return DriveReading("/dev/sda", "sat", **{**given, "attributes": {197: row}, **fields})


@pytest.fixture
def ask(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> Callable[..., bool]:
    """Ask alpha's drives, which answer so, `minutes` after NOW."""

    def run(*drives: DriveReading, minutes: float = 0) -> bool:
        monkeypatch.setattr(smart, "read_drives", lambda _: list(drives))
        with time_machine.travel(NOW + timedelta(minutes=minutes), tick=False):
            return check_drives.check_drives(ground.alpha)

    return run


def test_pending_sectors_name_the_drive_and_its_vms(
    ground: Ground, ask: Callable[..., bool]
) -> None:
    row = PhysicalDisk.objects.create(
        host=ground.alpha, key="0x5000", device="/dev/sdb", serial="s1", seen_at=NOW
    )
    place = FileSystem.objects.create(
        host=ground.alpha, mount_point="/srv/images", source="/dev/sdb1", seen_at=NOW
    )
    place.drives.add(row)
    vm = VM.objects.create(
        uuid=HOME, name="home", host=ground.alpha, first_seen_at=NOW, seen_at=NOW
    )
    VirtualDisk.objects.create(
        vm=vm, target="vda", file_system=place, first_seen_at=NOW, seen_at=NOW
    )
    assert ask(disk(3))
    found = Finding.objects.get()
    assert (found.kind, found.subject, found.severity) == ("drive", "0x5000", "watch")
    assert found.sentence == (
        "The drive /dev/sda (Disk 2000) of alpha needs watching: 3 sectors cannot be read (pending)"
    )
    assert [each.name for each in found.vms.all()] == ["home"]


def test_not_more_often_than_every_five_minutes(ask: Callable[..., bool]) -> None:
    asked = [ask(disk(), minutes=minute) for minute in range(7)]
    assert asked == [True, False, False, False, False, True, False]


def test_a_drive_that_only_smart_sees_is_remembered(
    ground: Ground, ask: Callable[..., bool]
) -> None:
    ask(disk())
    row = PhysicalDisk.objects.get()
    assert (row.key, row.only_smart) == ("Disk 2000 S1", True)
    ask(minutes=5)
    row.refresh_from_db()
    assert row.missing_since == NOW + timedelta(minutes=5)


def test_members_of_a_raid_share_a_path_and_stay_two(ask: Callable[..., bool]) -> None:
    one = DriveReading("/dev/sda", "megaraid,0", protocol="ATA", serial="A", passed=True)
    two = DriveReading("/dev/sda", "megaraid,1", protocol="ATA", serial="B", passed=True)
    ask(one, two)
    ask(one, two, minutes=5)
    assert {row.serial for row in PhysicalDisk.objects.all()} == {"A", "B"}


def test_no_data_is_unknown_and_ends_nothing(ground: Ground, ask: Callable[..., bool]) -> None:
    ask(disk(3))
    ask(disk(state="no-data", why="it did not answer"), minutes=5)
    assert Finding.objects.get().resolved_at is None
    state = selectors.drives(ground.alpha, NOW + timedelta(minutes=6))[0]
    assert (state.level, state.reason) == ("unknown", "it did not answer")


def test_a_sleeping_drive_keeps_what_it_said(ground: Ground, ask: Callable[..., bool]) -> None:
    ask(disk(3, temperature=41))
    ask(DriveReading("/dev/sda", "sat", state="standby", why="asleep"), minutes=5)
    state = selectors.drives(ground.alpha, NOW + timedelta(minutes=6))[0]
    assert (state.level, state.temperature) == ("watch", 41)


def test_a_good_reading_ends_it(ask: Callable[..., bool]) -> None:
    ask(disk(3))
    ask(disk(0), minutes=5)
    assert Finding.objects.get().resolved_at is not None


def test_worse_is_the_same_finding(ask: Callable[..., bool]) -> None:
    ask(disk(3))
    ask(disk(40), minutes=5)
    found = Finding.objects.get()
    assert (found.severity, "40 sectors" in found.sentence) == ("bad", True)
    assert Reading.objects.filter(kind="smart").count() == 2
