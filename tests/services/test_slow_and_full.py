"""Disks that are slow, and file systems with little room: said in time, and when it is over."""

from array import array
from datetime import timedelta

import pytest

from hosts.models import Finding, Sample1h, Sample5m, Subject, VirtualDisk
from tests.services.test_check_health import NOW, PLACE, Ground, ground

__all__ = ["ground"]
pytestmark = pytest.mark.django_db


class TestSlow:
    """Slow is not dead, and not well."""

    def test_for_minutes_it_is_a_finding_with_its_figures(self, ground: Ground) -> None:
        ground.look()
        ground.seconds = 1.6
        for turn in range(1, 6):
            ground.look(30 * turn)
        assert not Finding.objects.exists()
        for turn in range(6, 12):
            ground.look(30 * turn)
        found = Finding.objects.get()
        assert (found.kind, found.severity) == ("file-system", "watch")
        assert found.sentence == (
            "alpha needs more than 1 s to write one block to /srv/images since 02:20"
        )
        assert found.opened_at == NOW + timedelta(seconds=30)
        assert found.vms.count() == 2
        said = {row["what"]: row["value"] for row in found.evidence}
        assert said["write probe in /srv/images"] == "ok in 1.6 s"

    def test_it_ends_when_writes_are_quick_again(self, ground: Ground) -> None:
        ground.seconds = 1.6
        for turn in range(8):
            ground.look(30 * turn)
        ground.seconds = 0.6
        ground.look(240)
        assert Finding.objects.get().resolved_at is None, "a little quicker is not well"
        ground.seconds = 0.02
        ground.look(270)
        assert Finding.objects.get().resolved_at is not None

    def test_one_slow_look_is_nothing(self, ground: Ground) -> None:
        for turn in range(20):
            ground.seconds = 3.0 if turn % 2 else 0.01
            ground.look(30 * turn)
        assert not Finding.objects.exists()

    def test_a_hang_is_said_whatever_it_was_before(self, ground: Ground) -> None:
        ground.seconds = 1.6
        for turn in range(8):
            ground.look(30 * turn)
        ground.outcome, ground.seconds = "timeout", None
        ground.look(240)
        found = Finding.objects.get()
        assert (found.severity, found.sentence.split(" since")[0]) == (
            "bad",
            "alpha gets no answer when it writes to /srv/images",
        )


class TestRoom:
    """Little room."""

    def test_it_is_named_with_its_vms_and_ends(self, ground: Ground) -> None:
        ground.room["available"] = 2**36 * 7 // 100
        ground.look()
        found = Finding.objects.get()
        assert (found.kind, found.subject, found.severity) == ("room", PLACE, "watch")
        assert found.sentence == "alpha has little room on /srv/images: 7 % free"
        assert found.vms.count() == 2
        ground.room["available"] = 2**34
        ground.look(30)
        assert Finding.objects.get().resolved_at is not None

    def test_what_the_next_backup_needs(self, ground: Ground) -> None:
        VirtualDisk.objects.filter(vm__name="web").update(capacity_bytes=2**38)
        ground.room.update(size=2**33, available=2**30)
        ground.look()
        assert Finding.objects.get().sentence == (
            "alpha has little room on /srv/images: 12 % free, too little for the next backup of web"
        )

    def test_what_the_images_may_grow_by(self, ground: Ground) -> None:
        VirtualDisk.objects.update(capacity_bytes=2**35, allocation_bytes=2**30)
        ground.room["available"] = 2**36 * 15 // 100
        ground.look()
        assert Finding.objects.get().sentence.endswith(
            "15 % free, less than its images may grow by"
        )

    def test_inodes(self, ground: Ground) -> None:
        ground.room["files_free"] = 2**20 * 3 // 100
        ground.look()
        assert "few inodes are left" in Finding.objects.get().sentence

    def test_a_trend_is_told_in_days(self, ground: Ground) -> None:
        subject = Subject.objects.create(host=ground.alpha, kind="file-system", name=PLACE)
        begin, now = int(NOW.timestamp()) - 3 * 86400, int(NOW.timestamp())
        ground.room["available"] = 20 << 30
        for at in range(begin // 3600 * 3600, now, 3600):
            used = float((40 << 30) + (at - begin) * (2 << 30) // 86400)
            row = array("f", [used, 2.0**35] * 3).tobytes()
            Sample1h.objects.create(key=Sample1h.key_of(subject.pk, at), packed=row)
            five = array("f", [used, 2.0**35] * 3).tobytes()
            Sample5m.objects.create(key=Sample5m.key_of(subject.pk, at), packed=five)
        ground.look()
        found = Finding.objects.get()
        assert found.sentence.endswith("31 % free, full in about 10 days")

    def test_a_look_without_an_answer_ends_nothing(self, ground: Ground) -> None:
        ground.room["available"] = 2**30
        ground.look()
        kept, ground.room = ground.room, {}
        ground.look(30)
        assert Finding.objects.get().resolved_at is None
        ground.room = kept

    def test_a_place_without_images_is_nobodys_trouble(self, ground: Ground) -> None:
        ground.room["available"] = 2**30
        ground.look()
        VirtualDisk.objects.all().delete()
        ground.mounted = False
        ground.look(30)
        assert Finding.objects.get().resolved_at is not None
