"""Evidence in, findings out: opened once, changed, resolved, with their history."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import time_machine
from django.utils import timezone

from hosts.models import (
    VM,
    FileSystem,
    Finding,
    Host,
    Reading,
    VirtualDisk,
)
from hosts.selectors import findings as selectors
from hosts.services.checks import readings
from hosts.services.checks.check_health import check_health
from labpanel.adapters.errors import AdapterError, Refused, TimedOut
from labpanel.adapters.looks import canary

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 22, 2, 20, tzinfo=UTC)
BEGAN = datetime(2026, 11, 22, 2, 14, 30, tzinfo=UTC)
PLACE = "/srv/images"
CALM: dict[str, Any] = {"errors_count": 0, "first_error_time": 0, "last_error_time": 0}
ERROR = {
    "errors_count": 1,
    "first_error_time": int(BEGAN.timestamp()),
    "last_error_time": int(BEGAN.timestamp()),
    "first_error_func": "ext4_find_entry",
    "first_error_errcode": 2,
}


class Ground:
    """alpha with two VMs on /srv/images; what the canary sees there is told by the test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.alpha = Host.objects.create(name="alpha", target="root@alpha", host_key="k")
        self.place = FileSystem.objects.create(
            host=self.alpha, mount_point=PLACE, source="/dev/sdb1", fstype="ext4", seen_at=NOW
        )
        self.vms = [self.add_vm(name) for name in ("home", "web")]
        self.options, self.counters, self.outcome = "rw", CALM, "ok"
        self.mounted, self.clock_ahead = True, 0
        self.seconds: float | None = 0.004
        self.room = {"size": 2**36, "available": 2**35, "files": 2**20, "files_free": 2**19}
        self.failure: AdapterError | None = None
        self.asked: list[list[str]] = []
        monkeypatch.setattr(canary, "look", self.answer)

    def add_vm(self, name: str) -> VM:
        seen: dict[str, Any] = {"first_seen_at": NOW, "seen_at": NOW}
        vm = VM.objects.create(uuid=uuid4(), name=name, host=self.alpha, **seen)
        source = f"{PLACE}/{name}.qcow2"
        VirtualDisk.objects.create(
            vm=vm, target="vda", source=source, file_system=self.place, **seen
        )
        return vm

    def answer(self, endpoint: Any, folders: list[str]) -> dict[str, Any]:
        self.asked.append(folders)
        if self.failure:
            raise self.failure
        entry = {
            "mount_point": PLACE,
            "also": [],
            "source": "/dev/sdb1",
            "device": "sdb1",
            "fstype": "ext4",
            "options": self.options,
            "super": f"{self.options},errors=remount-ro",
        }
        probe: dict[str, Any] = {
            "folder": PLACE,
            "outcome": self.outcome,
            "error": "",
            "detail": "",
        }
        probe |= {"seconds": self.seconds, "room": self.room}
        return {
            "now": timezone.now().timestamp() + self.clock_ahead,
            "mounts": [entry] if self.mounted else [],
            "ext4": {"sdb1": self.counters},
            "probes": [{**probe, "mount_point": PLACE if self.mounted else ""}],
        }

    def breaks(self) -> None:
        self.options, self.counters, self.outcome = "rw,emergency_ro", ERROR, "read-only"

    def heals(self, counters: dict[str, Any] = CALM) -> None:
        self.options, self.counters, self.outcome = "rw", counters, "ok"

    def look(self, seconds: float = 0) -> None:
        with time_machine.travel(NOW + timedelta(seconds=seconds), tick=False):
            check_health(self.alpha)


@pytest.fixture
def ground(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Ground:
    settings.TIME_ZONE = "UTC"  # sentences tell the time of the panel's zone
    return Ground(monkeypatch)


def test_it_probes_where_images_lie(ground: Ground) -> None:
    ground.look()
    assert ground.asked == [[PLACE]]
    assert not Finding.objects.exists()


def test_a_file_system_that_refuses_writes_is_named_with_its_vms(
    ground: Ground, topics: list[str], django_capture_on_commit_callbacks: Any
) -> None:
    ground.breaks()
    with django_capture_on_commit_callbacks(execute=True):
        ground.look()
    found = Finding.objects.get()
    assert (found.kind, found.subject, found.severity) == ("file-system", PLACE, "bad")
    assert found.sentence == "alpha cannot write to /srv/images since 02:14"
    assert found.opened_at == BEGAN
    assert {vm.name for vm in found.vms.all()} == {"home", "web"}
    assert "e2fsck -f /dev/sdb1" in found.advice
    errors = next(row for row in found.evidence if row["what"] == "ext4 errors")
    assert (errors["value"], errors["since"]) == (1, BEGAN.isoformat())
    assert topics == ["health"]


def test_the_same_trouble_is_one_finding_and_one_message(
    ground: Ground, topics: list[str], django_capture_on_commit_callbacks: Any
) -> None:
    ground.breaks()
    with django_capture_on_commit_callbacks(execute=True):
        for turn in range(3):
            ground.look(30 * turn)
    found = Finding.objects.get()
    assert found.looked_at == NOW + timedelta(seconds=60)
    assert topics == ["health"]


def test_it_is_resolved_after_the_repair_and_keeps_its_history(ground: Ground) -> None:
    ground.breaks()
    ground.look()
    ground.heals()
    ground.look(300)
    found = Finding.objects.get()
    assert found.resolved_at == NOW + timedelta(seconds=300)
    assert selectors.open_findings() == []
    assert selectors.past_findings(ground.alpha) == [found]
    ground.breaks()
    ground.look(600)
    assert Finding.objects.count() == 2


def test_writable_again_but_never_checked_is_to_be_watched(ground: Ground) -> None:
    ground.breaks()
    ground.look()
    ground.heals(ERROR)
    ground.look(60)
    found = Finding.objects.get()
    assert (found.severity, found.resolved_at) == ("watch", None)
    assert found.sentence == "alpha has recorded 1 error on /srv/images"
    ground.heals()
    ground.look(120)
    found.refresh_from_db()
    assert found.resolved_at is not None


def test_without_a_counter_since_is_when_it_was_first_seen(ground: Ground) -> None:
    ground.look()
    ground.outcome = "io-error"
    ground.look(60)
    ground.look(600)
    found = Finding.objects.get()
    assert found.sentence == "alpha gets I/O errors when it writes to /srv/images since 02:21"
    assert found.opened_at == NOW + timedelta(seconds=60)


def test_a_kernel_that_only_shows_ro_after_it_was_rw(ground: Ground) -> None:
    ground.look()
    ground.options, ground.outcome = "ro", "denied"
    ground.look(30)
    assert Finding.objects.get().severity == "bad"


def test_a_host_whose_clock_is_wrong_is_told_in_our_time(ground: Ground) -> None:
    ground.breaks()
    ground.clock_ahead = 3600
    began = int(BEGAN.timestamp()) + 3600
    ground.counters = {**ERROR, "first_error_time": began, "last_error_time": began}
    ground.look()
    assert Finding.objects.get().sentence.endswith("since 02:14")


def test_unmounted_with_images_is_a_trouble_until_it_is_back(ground: Ground) -> None:
    ground.mounted = False
    ground.look()
    found = Finding.objects.get()
    assert found.sentence == "alpha has /srv/images not mounted since 02:20"
    assert found.vms.count() == 2
    ground.mounted = True
    ground.look(30)
    found.refresh_from_db()
    assert found.resolved_at is not None


def test_a_finding_of_a_mount_that_nobody_needs_ends_with_it(ground: Ground) -> None:
    ground.breaks()
    ground.look()
    VirtualDisk.objects.all().delete()
    ground.mounted = False
    ground.look(30)
    assert Finding.objects.get().resolved_at is not None


def test_a_denied_probe_neither_opens_nor_ends_anything(ground: Ground) -> None:
    ground.breaks()
    ground.look()
    ground.heals()
    ground.outcome = "denied"
    ground.look(30)
    assert Finding.objects.get().resolved_at is None


def test_readings_are_stretches_of_time(ground: Ground) -> None:
    for turn in range(4):
        ground.look(30 * turn)
    assert Reading.objects.filter(kind="probe").count() == 1
    ground.breaks()
    ground.look(120)
    newest, oldest = selectors.history(ground.alpha, "probe", PLACE)
    assert (newest.value["outcomes"], newest.first_at) == (
        ["read-only"],
        NOW + timedelta(seconds=120),
    )
    assert (oldest.first_at, oldest.last_at) == (NOW, NOW + timedelta(seconds=90))


def test_a_time_in_which_nobody_looked_is_not_filled_in(ground: Ground) -> None:
    ground.look()
    ground.look(readings.GAP.total_seconds() + 60)
    assert Reading.objects.filter(kind="probe").count() == 2


class TestALookThatFails:
    """A host that answers but hangs is a trouble; one that is gone is the probe's."""

    def test_once_is_nothing_for_a_minute_is_a_finding(self, ground: Ground) -> None:
        ground.failure = TimedOut("alpha did not finish within 22 s.")
        ground.look()
        assert not Finding.objects.exists()
        ground.look(61)
        found = Finding.objects.get()
        assert (found.kind, found.severity) == ("check", "bad")
        ground.failure = None
        ground.look(90)
        found.refresh_from_db()
        assert found.resolved_at is not None

    def test_what_answers_with_a_reason_is_told_with_it(self, ground: Ground) -> None:
        ground.failure = Refused("alpha did not run `python3` to its end: a login file ended it.")
        ground.look()
        ground.look(61)
        assert Finding.objects.get().advice == ground.failure.sentence

    def test_an_open_finding_stays_open(self, ground: Ground) -> None:
        ground.breaks()
        ground.look()
        ground.failure = TimedOut("alpha did not finish within 22 s.")
        ground.look(30)
        assert Finding.objects.get(kind="file-system").resolved_at is None

    def test_a_host_that_is_gone_is_not_said_twice(self, ground: Ground) -> None:
        Host.objects.update(failing_since=NOW)
        ground.failure = TimedOut("alpha did not finish within 22 s.")
        ground.look()
        ground.look(120)
        assert not Finding.objects.exists()
