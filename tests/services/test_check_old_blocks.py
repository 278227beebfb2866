"""Old blocks that cannot be read: named with file, bytes and VM, until they are read well again."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from hosts.models import VM, Finding, Host, VirtualDisk
from hosts.rules.health.suspects import is_suspect
from hosts.services.checks import check_old_blocks as service
from labpanel.adapters.errors import TimedOut
from labpanel.adapters.looks import old_blocks
from labpanel.adapters.looks.old_blocks import MOST_IMAGES, OldBlockRead, Range

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 22, 2, 20, tzinfo=UTC)
PATH, BASE = "/srv/images/home.qcow2", "/srv/images/base.qcow2"
BAD, OTHER = Range(PATH, 1 << 20, 4096), Range(PATH, 5 << 20, 4096)
READ = OldBlockRead(Range(PATH, 0, 0), "ok", "", 1 << 20)


def bad(where: Range) -> OldBlockRead:
    return OldBlockRead(where, "unreadable", "EIO", 0)


def well(where: Range) -> OldBlockRead:
    return OldBlockRead(where, "ok", "", where.length)


@pytest.fixture
def alpha(db: None) -> Host:
    host = Host.objects.create(name="alpha", target="root@alpha", host_key="k")
    seen: dict[str, Any] = {"first_seen_at": NOW, "seen_at": NOW}
    for name in ("home", "web"):
        vm = VM.objects.create(uuid=uuid4(), name=name, host=host, **seen)
        source = f"/srv/images/{name}.qcow2"
        VirtualDisk.objects.create(
            vm=vm, target="vda", source=source, kind="file", backing_chain=[BASE], **seen
        )
    return host


def look(alpha: Host, *found: OldBlockRead, minutes: float = 0) -> list[Finding]:
    service.weigh(alpha, found, NOW + timedelta(minutes=minutes))
    return list(Finding.objects.filter(resolved_at=None))


def test_it_names_file_bytes_and_vm(alpha: Host) -> None:
    assert look(alpha, READ) == []
    (found,) = look(alpha, bad(BAD))
    assert (found.kind, found.subject, found.severity) == ("unreadable", PATH, "bad")
    assert found.sentence == f"alpha cannot read bytes 1048576 to 1052671 of {PATH} (home)"
    assert [vm.name for vm in found.vms.all()] == ["home"]
    assert found.evidence[0]["value"] == "EIO"
    assert is_suspect(found.kind, found.severity), "a plain copy is no way out"


def test_good_places_elsewhere_do_not_end_it(alpha: Host) -> None:
    look(alpha, bad(BAD))
    for minute in range(1, 40):
        assert look(alpha, READ, minutes=minute)
    assert service._again(alpha) == [BAD]


def test_it_is_over_when_all_that_was_bad_reads_well(alpha: Host) -> None:
    look(alpha, bad(BAD))
    (found,) = look(alpha, bad(OTHER), minutes=1)
    assert len(found.evidence) == 2
    assert look(alpha, well(BAD), minutes=2)
    assert look(alpha, well(OTHER), minutes=3) == []
    assert service._again(alpha) == []
    (found,) = look(alpha, bad(OTHER), minutes=4)
    assert len(found.evidence) == 1, "the old one is over"


def test_one_that_was_skipped_stays(alpha: Host) -> None:
    look(alpha, bad(BAD))
    assert look(alpha, OldBlockRead(BAD, "skipped", "ENOENT", 0), minutes=1)


def test_a_base_names_all_that_stand_on_it(alpha: Host) -> None:
    (found,) = look(alpha, bad(Range(BASE, 0, 4096)))
    assert {vm.name for vm in found.vms.all()} == {"home", "web"}


def test_an_image_that_nobody_has_any_more_ends_it(alpha: Host) -> None:
    look(alpha, bad(BAD))
    VirtualDisk.objects.filter(source=PATH).delete()
    assert look(alpha, READ, minutes=1) == []


def test_a_disk_full_of_bad_blocks_is_one_finding_of_few_ranges(alpha: Host) -> None:
    for number in range(50):
        look(alpha, bad(Range(PATH, number << 20, 4096)), minutes=number)
    assert len(service._again(alpha)) == service.MOST_KNOWN


def test_it_asks_for_images_and_what_was_bad(alpha: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def answer(endpoint: Any, images: Any, again: Any, turn: int) -> Any:
        asked.append((list(images), list(again)))
        if len(asked) == 3:
            raise TimedOut("alpha did not answer")
        return (bad(BAD),), ()

    monkeypatch.setattr(old_blocks, "look", answer)
    for _ in range(3):
        service.check_old_blocks(alpha)
    assert asked[0] == ([BASE, PATH, "/srv/images/web.qcow2"], [])
    assert asked[1][1] == [BAD]
    assert Finding.objects.get().resolved_at is None, "no answer is no good news"


@pytest.mark.parametrize("number", [1, MOST_IMAGES, MOST_IMAGES + 1, 5 * MOST_IMAGES])
def test_every_image_has_its_turn(number: int) -> None:
    paths = [f"/srv/images/{each:04}.qcow2" for each in range(number)]
    looks = [service.of_turn(paths, turn) for turn in range(29_000_000, 29_000_012)]
    assert {len(look) for look in looks} == {min(number, MOST_IMAGES)}
    assert {path for look in looks for path in look} == set(paths)
