"""From the kernel's list of mounts to the finding: where an image lies, and which VM is touched."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from backups.models import Store
from hosts.models import VM, FileSystem, Finding, Host, VirtualDisk
from hosts.rules.placement.paths import holder
from hosts.services.checks.check_health import weigh
from hosts.services.inventory import disks as inventory_disks
from hosts.services.machines import probe
from labpanel.adapters.looks import canary, host_facts
from labpanel.onhost.looks import canary as canary_script
from labpanel.onhost.looks import host_facts as facts_script
from labpanel.onhost.looks import mountinfo
from tests.fakes import host_facts as made
from tests.lab.panels import REPOSITORY
from tests.services.looked import NOW

pytestmark = pytest.mark.django_db
CASES = REPOSITORY.parent / "shared" / "cases" / "mounts"
ROOT = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"


class Box:
    """A host whose kernel lists `text`, with one VM on `image`; real readers, made-up probes."""

    def __init__(self, folder: Path, text: str, image: str) -> None:
        self.list = folder / "mountinfo"
        self.list.write_text(text, "utf-8")
        self.host = Host.objects.create(name="alpha", target="root@alpha", host_key="k")
        seen: dict[str, Any] = {"first_seen_at": NOW, "seen_at": NOW}
        self.vm = VM.objects.create(uuid=uuid4(), name="home", host=self.host, **seen)
        self.image = image
        self.look()
        places = inventory_disks._places(self.host)
        self.disk = VirtualDisk.objects.create(
            vm=self.vm, target="vda", source=image, file_system_id=holder(image, places), **seen
        )

    def look(self) -> None:
        rows = [
            {
                **{key: value for key, value in row.items() if key != "at"},
                "space": None,
                "below": [],
            }
            for row in facts_script.mounts([self.image])
        ]
        probe.record(self.host, host_facts.read(made.said(mounts=rows)), NOW)

    def health(self, outcome: str, number: str = "") -> None:
        folder = str(Path(self.image).parent)
        told = {
            "folder": folder,
            "outcome": outcome,
            "error": "EIO",
            "detail": "",
            "number": number,
        }
        mounts = canary_script.file_systems([folder])
        told["mount_point"] = canary_script.mount_of(told, mounts)
        answer = {"now": NOW.timestamp(), "mounts": mounts, "ext4": {}, "probes": [told]}
        weigh(self.host, canary.read(answer, "alpha"), NOW)


@pytest.fixture
def read_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(mountinfo, "MOUNTINFO", tmp_path / "mountinfo")
    return lambda text, image: Box(tmp_path, text, image)


def given(name: str) -> str:
    path = CASES / f"{name}.mountinfo"
    if not path.exists():
        pytest.skip(f"{path.name} is not here")
    return path.read_text("utf-8")


GIVEN = [
    ("mergerfs", "/srv/pool/vms/a.qcow2", "/srv/pool", "0:47"),
    ("mergerfs", "/srv/pool/vms/a.qcow2", "/srv/pool", ""),
    ("shfs", "/mnt/user/domains/w/vdisk1.img", "/mnt/user", "0:47"),
    ("shfs", "/mnt/user/domains/w/vdisk1.img", "/mnt/user", ""),
    ("blanks", "/srv/VM\u00a0images/a.qcow2", "/srv/VM\u00a0images", "8:17"),
    ("blanks", "/srv/仮想\u3000ディスク/a.qcow2", "/srv/仮想\u3000ディスク", ""),
    ("line-separator", "/srv/a\u2028b/x.raw", "/srv/a\u2028b", "8:17"),
    ("mounted-over", "/srv/images/a.qcow2", "/srv/images", "8:33"),
]


@pytest.mark.parametrize(("name", "image", "place", "number"), GIVEN)
def test_given(read_from: Any, name: str, image: str, place: str, number: str) -> None:
    box = read_from(given(name), image)
    check(box, place, number)


def line(number: str, place: str, fstype: str, source: str, root: str = "/") -> str:
    return f"40 22 {number} {root} {place} rw,relatime shared:9 - {fstype} {source} rw\n"


@pytest.mark.parametrize(
    ("text", "image", "place", "number"),
    [
        (line("0:50", "/srv/t", "tmpfs", "tmpfs"), "/srv/t/a.raw", "/srv/t", "0:50"),
        (line("0:51", "/srv/o", "overlay", "overlay"), "/srv/o/v/a.raw", "/srv/o", ""),
        (line("0:52", "/srv/u", "fuse.unionfs", "u"), "/srv/u/a.raw", "/srv/u", "0:52"),
        (line("8:17", "/vm", "ext4", "/dev/sdb1", "/vms"), "/vm/a.raw", "/vm", "8:17"),
        (line("8:17", "/srv/v\u3000m", "xfs", "/dev/sdb1"), "/srv/v\u3000m/a", "/srv/v\u3000m", ""),
    ],
)
def test_others_of_the_kind(read_from: Any, text: str, image: str, place: str, number: str) -> None:
    check(read_from(ROOT + text, image), place, number)


def check(box: Box, place: str, number: str) -> None:
    assert box.disk.file_system is not None
    assert box.disk.file_system.mount_point == place
    assert not box.disk.file_system.drives.exists(), "no drive of another mount"
    box.health("ok", number)
    assert not Finding.objects.exists()
    box.health("io-error", number)
    found = Finding.objects.get()
    assert (found.subject, found.severity) == (place, "bad")
    assert [vm.name for vm in found.vms.all()] == ["home"]
    box.health("ok", number)
    assert not Finding.objects.filter(resolved_at=None).exists()


def test_a_probe_that_fails_nobody_knows_where_names_its_vm(read_from: Any) -> None:
    """A device number that no line of the list has: mounted on demand, or a kernel's own."""
    box = read_from(ROOT, "/srv/auto/a.qcow2")
    box.health("io-error", "0:99")
    found = Finding.objects.get()
    assert found.sentence.startswith("alpha gets I/O errors when it writes to /srv/auto since ")
    assert [vm.name for vm in found.vms.all()] == ["home"]
    box.health("denied", "0:99")
    assert Finding.objects.get().resolved_at is None, "not asked is not well"
    box.health("ok", "0:99")
    assert Finding.objects.get().resolved_at is not None


def test_a_file_system_that_is_gone_is_one_finding(read_from: Any) -> None:
    box = read_from(ROOT + line("0:47", "/srv/pool", "fuse.mergerfs", "p"), "/srv/pool/a.raw")
    box.list.write_text("22 1 8:1 / /boot rw - ext4 /dev/sda1 rw\n")
    box.health("missing")
    assert Finding.objects.get().sentence.startswith("alpha has /srv/pool not mounted")


def test_a_new_mount_over_the_images_moves_them(read_from: Any) -> None:
    text = ROOT + line("8:17", "/srv/images", "ext4", "/dev/sdb1")
    box = read_from(text, "/srv/images/a.qcow2")
    box.list.write_text(text + "41 40 0:60 / /srv/images rw - fuse.shfs shfs rw\n")
    box.look()
    assert FileSystem.objects.get(mount_point="/srv/images").source == "shfs"


def test_what_holds_a_store_counts_too(read_from: Any) -> None:
    box = read_from(ROOT, "/srv/a.raw")
    local = Host.objects.create(name="panel", target="local")
    one = Store.objects.create(host=box.host, path="/srv/store", name="a", store_id=uuid4())
    two = Store.objects.create(host=None, path="/data/store", name="b", store_id=uuid4())
    assert probe._images(box.host) == [one.path, "/srv/a.raw"]
    assert probe._images(local) == [two.path]
