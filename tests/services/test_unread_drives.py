"""Drives that cannot be asked are a trouble with its reason, and old answers are no good news."""

from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine

from hosts.models import Finding, PhysicalDisk, Reading
from hosts.selectors import findings as selectors
from hosts.services.checks import check_drives
from labpanel.adapters.drives import smart
from labpanel.adapters.errors import (
    AdapterError,
    CommandFailed,
    HostKeyChanged,
    KeyRefused,
    Missing,
    TimedOut,
    Unreachable,
)
from labpanel.lib.drives import Attribute, DriveReading
from tests.services.looked import NOW, Ground

REFUSED = CommandFailed("alpha does not let the panel's user run smartctl.", 1, "sudo: …")
LACKING = Missing("smartctl is not installed on alpha; there, run `apt install smartmontools`.")
Look = Callable[..., None]


def drive(device: str = "/dev/sda", **fields: object) -> DriveReading:
    row = Attribute(197, "Current_Pending_Sector", 100, 0, 0)
    given: dict[str, object] = {"protocol": "ATA", "serial": device, "passed": True}
    return DriveReading(device, "sat", **{**given, "attributes": {197: row}, **fields})  # type: ignore[arg-type]


def silent(device: str = "/dev/sda", why: str = "it does not open") -> DriveReading:
    return DriveReading(device, state="no-data", why=why)


@pytest.fixture
def look(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> Look:
    """Ask alpha's drives `minutes` after NOW; an error is raised instead of an answer."""

    def run(*answers: DriveReading | AdapterError, minutes: float = 0) -> None:
        def read(_: object) -> list[DriveReading]:
            for each in answers:
                if isinstance(each, AdapterError):
                    raise each
            return [each for each in answers if isinstance(each, DriveReading)]

        monkeypatch.setattr(smart, "read_drives", read)
        with time_machine.travel(NOW + timedelta(minutes=minutes), tick=False):
            check_drives.check_drives(ground.alpha)

    return run


def unread() -> Finding | None:
    return Finding.objects.filter(kind="drives-unread", resolved_at=None).first()


@pytest.mark.parametrize("error", [REFUSED, LACKING], ids=["refused", "lacking"])
def test_smartctl_that_cannot_run_is_said_at_once_with_its_reason(
    look: Look, error: AdapterError
) -> None:
    look(error)
    found = unread()
    assert found is not None
    assert found.sentence == f"The health of the drives of alpha cannot be read: {error.sentence}"
    assert found.severity == "watch"
    look(error, minutes=5)
    assert Finding.objects.count() == 1
    look(drive(), minutes=10)
    assert unread() is None


@pytest.mark.parametrize(
    "error", [Unreachable("gone"), KeyRefused("no key"), HostKeyChanged("another key")]
)
def test_a_host_that_does_not_answer_is_no_second_trouble(look: Look, error: AdapterError) -> None:
    for turn in range(5):
        look(error, minutes=5 * turn)
    assert unread() is None


def test_a_look_that_takes_too_long_is_said_after_three(look: Look) -> None:
    look(drive())
    late = TimedOut("smartctl on alpha gave no answer within 20 s: it hangs.")
    said = []
    for minutes in (5, 10, 15, 20, 25):
        look(late, minutes=minutes)
        said.append(unread() is not None)
    assert (said[:2], said[-1]) == ([False, False], True)


def test_a_drive_that_was_never_read_is_said_at_once(look: Look) -> None:
    look(drive(), silent("/dev/sdb", "Unknown USB bridge"))
    found = unread()
    assert found is not None
    assert found.sentence == (
        "The health of the drive /dev/sdb of alpha cannot be read: Unknown USB bridge"
    )


def test_a_drive_that_fell_silent_is_said_after_three_turns(look: Look) -> None:
    look(drive())
    said = []
    for minutes in (5, 10, 15, 20):
        look(silent(), minutes=minutes)
        said.append(unread() is not None)
    assert said == [False, False, True, True]
    look(drive(), minutes=25)
    assert unread() is None


def test_a_sata_drive_that_only_scsi_answers_for_is_said(ground: Ground, look: Look) -> None:
    hidden = DriveReading(
        "/dev/sda", "scsi", protocol="SCSI", vendor="ATA", serial="S", passed=True
    )
    look(hidden)
    found = unread()
    assert found is not None
    assert "the controller answers in its place" in found.sentence
    assert selectors.drives(ground.alpha, NOW)[0].level == "unknown"


def test_several_drives_are_one_trouble(look: Look) -> None:
    look(silent("/dev/sda", "it hangs"), silent("/dev/sdb", "it hangs"))
    found = unread()
    assert found is not None
    assert found.sentence == (
        "The health of 2 drives of alpha (/dev/sda and /dev/sdb) cannot be read: it hangs"
    )
    look(silent("/dev/sda", "it hangs"), silent("/dev/sdb", "it is not a device"), minutes=5)
    found.refresh_from_db()
    assert found.sentence.endswith("/dev/sda: it hangs; /dev/sdb: it is not a device")
    assert [row["what"] for row in found.evidence] == ["/dev/sda", "/dev/sdb"]


def test_a_drive_that_smartctl_lists_no_more_is_said(ground: Ground, look: Look) -> None:
    ground.look(ground.alpha)
    look(drive(serial="S-sda"), drive("/dev/sdb", serial="S-sdb"))
    for minutes in (5, 10):
        look(drive(serial="S-sda"), minutes=minutes)
        assert unread() is None
    look(drive(serial="S-sda"), minutes=16)
    found = unread()
    assert found is not None
    assert found.sentence.startswith("The health of the drive /dev/sdb of alpha cannot")


def test_an_empty_list_beside_drives_that_are_there_is_said(ground: Ground, look: Look) -> None:
    ground.look(ground.alpha)
    look()
    found = unread()
    assert found is not None
    assert "smartctl does not list it" in found.sentence


def test_a_host_without_drives_of_that_kind_is_left_in_peace(ground: Ground, look: Look) -> None:
    PhysicalDisk.objects.create(host=ground.alpha, key="v", device="/dev/vda", seen_at=NOW)
    look()
    assert unread() is None


def test_a_sleeping_drive_and_one_that_tells_nothing_are_no_trouble(look: Look) -> None:
    for turn in range(6):
        asleep = DriveReading("/dev/sda", state="standby", why="the drive sleeps")
        look(asleep, drive("/dev/sdb", attributes={}), minutes=5 * turn)
    assert unread() is None


@pytest.mark.parametrize(("pending", "word"), [(0, "good"), (3, "to be watched"), (300, "failing")])
def test_an_old_answer_is_unknown(ground: Ground, look: Look, pending: int, word: str) -> None:
    row = Attribute(197, "Current_Pending_Sector", 100, 0, pending)
    look(drive(attributes={197: row}))
    fresh, old = (
        selectors.drives(ground.alpha, NOW + timedelta(minutes=minutes))[0] for minutes in (15, 16)
    )
    assert fresh.level == {"good": "good", "to be watched": "watch", "failing": "bad"}[word]
    assert old.level == "unknown"
    assert old.reason.startswith(
        f"it has not answered for more than 15 min; its last answer was {word}: "
    )
    days = selectors.drives(ground.alpha, NOW + timedelta(days=3))[0]
    assert days.level == "unknown"
    assert Finding.objects.filter(kind="drive", resolved_at=None).exists() == bool(pending)


def test_what_sleeps_for_long_is_unknown_and_said_to_sleep(ground: Ground, look: Look) -> None:
    look(drive())
    for minutes in range(5, 65, 5):
        look(DriveReading("/dev/sda", state="standby", why="the drive sleeps"), minutes=minutes)
    state = selectors.drives(ground.alpha, NOW + timedelta(minutes=61))[0]
    assert state.level == "unknown"
    assert state.reason.startswith("it sleeps and is not woken; its last answer was good: ")


def test_what_a_sleeping_drive_said_stays_known_beside_busy_ones(
    look: Look, ground: Ground
) -> None:
    look(drive("/dev/sda"), drive("/dev/sdb"))
    busy = PhysicalDisk.objects.get(device="/dev/sdb").key
    Reading.objects.bulk_create(
        Reading(
            host=ground.alpha, kind="smart-now", subject=busy, value={"temperature": minute},
            first_at=NOW + timedelta(minutes=minute), last_at=NOW + timedelta(minutes=minute),
        )
        for minute in range(1, 700)
    )  # fmt: skip
    asleep = drive("/dev/sda", state="standby", why="the drive sleeps", attributes={})
    look(asleep, drive("/dev/sdb"), minutes=700)
    seen = selectors.drives(ground.alpha, NOW + timedelta(minutes=701))
    found = {each.disk.device: (each.level, each.reason) for each in seen}
    assert found["/dev/sda"] == (
        "unknown",
        "it sleeps and is not woken; its last answer was good: nothing speaks against it",
    )
    assert found["/dev/sdb"][0] == "good"
