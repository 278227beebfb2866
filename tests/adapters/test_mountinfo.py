"""What is mounted, from the kernel's own list (proc(5), mountinfo), and what a path lies on.

The cases of ../shared/cases/mounts are read where they lie beside the checkout.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from labpanel.adapters.looks import canary as front
from labpanel.adapters.looks import host_facts as facts_front
from labpanel.adapters.ssh import bundle
from labpanel.onhost.looks import canary, host_facts, mountinfo
from tests.lab.panels import REPOSITORY

CASES = REPOSITORY.parent / "shared" / "cases" / "mounts"
ROOT = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
Use = Callable[[str], None]


@pytest.fixture
def use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Use:
    """Have all readers read this text as the kernel's."""

    def put(text: str) -> None:
        place = tmp_path / "mountinfo"
        place.write_bytes(text.encode("utf-8", "surrogateescape"))
        monkeypatch.setattr(mountinfo, "MOUNTINFO", place)

    return put


def given(name: str) -> str:
    path = CASES / f"{name}.mountinfo"
    if not path.exists():
        pytest.skip(f"{path.name} is not here")
    return path.read_text("utf-8")


def held(path: str) -> mountinfo.MountEntry:
    found = mountinfo.holding(path, mountinfo.read())
    assert found is not None
    return found


def both(path: str) -> dict[str, str]:
    """Mount point → source, which both readers must say alike."""
    facts = {row["mount_point"]: row["source"] for row in host_facts.mounts([path])}
    health = {row["mount_point"]: row["source"] for row in canary.file_systems([path])}
    assert facts == health
    return facts


GIVEN = [
    ("mergerfs", "/srv/pool/vms/a.qcow2", "/srv/pool", "pool"),
    ("shfs", "/mnt/user/domains/w/vdisk1.img", "/mnt/user", "shfs"),
    ("blanks", "/srv/VM\u00a0images/a.qcow2", "/srv/VM\u00a0images", "/dev/sdb1"),
    ("blanks", "/srv/仮想\u3000ディスク/a.qcow2", "/srv/仮想\u3000ディスク", "/dev/sdc1"),
    ("line-separator", "/srv/a\u2028b/x.raw", "/srv/a\u2028b", "/dev/sdb1"),
    ("mounted-over", "/srv/images/a.qcow2", "/srv/images", "/dev/sdc1"),
]


@pytest.mark.parametrize(("name", "image", "place", "source"), GIVEN)
def test_given(use: Use, name: str, image: str, place: str, source: str) -> None:
    use(given(name))
    assert (held(image).mount_point, held(image).source) == (place, source)
    assert both(image)[place] == source


def line(number: str, place: str, fstype: str, source: str, root: str = "/", at: int = 40) -> str:
    return f"{at} 22 {number} {root} {place} rw,relatime shared:9 - {fstype} {source} rw\n"


@pytest.mark.parametrize(
    "fstype",
    ["fuse.mergerfs", "fuse.shfs", "fuse.unionfs", "fuse.s3fs", "fuse.rclone", "fuse", "fuse.jfs2",
     "zfs", "nfs4", "cifs", "bcachefs", "lustre", "gfs2", "ocfs2", "beegfs", "vboxsf", "fuse.x y"],
)  # fmt: skip
def test_file_systems_without_a_device_count_whatever_their_type(use: Use, fstype: str) -> None:
    use(ROOT + line("0:47", "/srv/pool", fstype.replace(" ", "\\040"), "pool"))
    assert both("")["/srv/pool"] == "pool"
    assert host_facts.mounts([])[1]["fstype"] == fstype


@pytest.mark.parametrize("fstype", ["tmpfs", "overlay", "ramfs", "squashfs", "autofs"])
def test_others_count_where_an_image_lies(use: Use, fstype: str) -> None:
    use(ROOT + line("0:47", "/srv/quick", fstype, "none"))
    assert "/srv/quick" not in both("/srv/elsewhere/a.qcow2")
    assert both("/srv/quick/vms/a.qcow2")["/srv/quick"] == "none"
    assert "/srv/quick" not in both("/srv/quicker/a.qcow2")


BREAKS = "\u00a0\u1680\u2003\u2028\u2029\u202f\u205f\u3000\x85\x0b\x0c\x1c\x1d\x1e\x1f\r"


@pytest.mark.parametrize("odd", BREAKS, ids=[f"U+{ord(odd):04X}" for odd in BREAKS])
def test_only_a_blank_and_a_newline_separate(use: Use, odd: str) -> None:
    """What str.split() and str.splitlines() would take for an end is part of a name."""
    place = f"/srv/a{odd}b"
    use(ROOT + line("8:17", place, "ext4", "/dev/sdb1"))
    assert held(f"{place}/x.raw").mount_point == place
    assert both(f"{place}/x.raw") == {"/": "/dev/sda1", place: "/dev/sdb1"}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (r"/srv/my\040disk", "/srv/my disk"),
        (r"/srv/a\011b\012c", "/srv/a\tb\nc"),
        (r"/srv/back\134slash", "/srv/back\\slash"),
        (r"/srv/twice\134040", r"/srv/twice\040"),  # a backslash and three digits, no blank
        (r"/srv/hash\043", "/srv/hash#"),
        (r"/srv/-\040-\040-", "/srv/- - -"),
    ],
)
def test_octal_escapes_are_read_once(use: Use, written: str, meant: str) -> None:
    use(ROOT + line("8:17", written, "ext4", "/dev/sdb1"))
    assert held(f"{meant}/x.raw").source == "/dev/sdb1"
    assert both(f"{meant}/x.raw")[meant] == "/dev/sdb1"


def test_bytes_that_are_no_text_harm_no_neighbour(use: Use) -> None:
    use(ROOT + line("8:17", "/srv/a\udcffb", "ext4", "/dev/sdb1"))
    assert held("/srv/a\udcffb/x").source == "/dev/sdb1"
    assert both("") == {"/": "/dev/sda1", "/srv/a\ufffdb": "/dev/sdb1"}


def test_lines_that_are_none_of_the_kernels_are_left_out(use: Use) -> None:
    use(ROOT + "\n\n22 1 8:1\n40 22 8:17 / /srv rw - ext4\nnonsense\n")
    assert both("") == {"/": "/dev/sda1"}


def test_an_empty_source_and_optional_fields(use: Use) -> None:
    use(
        ROOT
        + "40 22 0:50 / /a rw - fuse.x  rw\n41 22 0:51 / /b rw master:1 shared:2 - nfs n:/ ro\n"
    )
    assert both("") == {"/": "/dev/sda1", "/a": "", "/b": "n:/"}


OVER = {
    "the mount below is covered": (
        "40 22 8:17 / /srv/images rw - ext4 /dev/sdb1 rw\n"
        "41 40 8:33 / /srv/images rw - ext4 /dev/sdc1 rw\n"
    ),
    "covered twice": (
        "40 22 8:17 / /srv/images rw - ext4 /dev/sdb1 rw\n"
        "41 40 8:49 / /srv/images rw - ext4 /dev/sdd1 rw\n"
        "42 41 8:33 / /srv/images rw - ext4 /dev/sdc1 rw\n"
    ),
    "the folder above is mounted over": (
        "40 22 8:17 / /srv/images rw - ext4 /dev/sdb1 rw\n"
        "41 22 8:33 / /srv rw - ext4 /dev/sdc1 rw\n"
    ),
    "the folder above, and what stands there is listed first": (
        "43 41 8:65 / /srv/other rw - ext4 /dev/sde1 rw\n"
        "40 22 8:17 / /srv/images rw - ext4 /dev/sdb1 rw\n"
        "41 22 8:33 / /srv rw - ext4 /dev/sdc1 rw\n"
    ),
}


@pytest.mark.parametrize("text", OVER.values(), ids=OVER)
def test_mounts_over_mounts(use: Use, text: str) -> None:
    use(ROOT + text)
    assert held("/srv/images/a.qcow2").source == "/dev/sdc1"
    assert "/dev/sdb1" not in both("/srv/images/a.qcow2").values()


def test_what_stands_on_nothing_listed_stands_on_the_root(use: Use) -> None:
    use(
        ROOT
        + "40 1 8:17 / /srv/images rw - ext4 /dev/sdb1 rw\n41 7 0:47 / /srv/p rw - fuse.p p rw\n"
    )
    assert held("/srv/images/a.qcow2").source == "/dev/sdb1"
    assert held("/srv/p/a.qcow2").source == "p"
    assert both("") == {"/": "/dev/sda1", "/srv/images": "/dev/sdb1", "/srv/p": "p"}


def test_bind_mounts_are_one_file_system(use: Use) -> None:
    use(
        ROOT
        + line("8:17", "/early", "ext4", "/dev/sdb1", root="/vms", at=40)
        + line("8:17", "/srv/all", "ext4", "/dev/sdb1", at=41)
        + line("8:17", "/late", "ext4", "/dev/sdb1", root="/vms/x", at=42)
        + line("0:60", "/n/a", "nfs4", "nas:/a", at=43)
        + line("0:60", "/n/b", "nfs4", "nas:/b", at=44)
        + line("0:60", "/n/a2", "nfs4", "nas:/a", root="/x", at=45)
        + line("0:61", "/home", "btrfs", "/dev/sdc1", root="/@home", at=46)
        + line("0:61", "/data", "btrfs", "/dev/sdc1", root="/@data", at=47)
    )
    found = {row["mount_point"]: row["also_at"] for row in host_facts.mounts([])}
    assert found == {
        "/": [],
        "/srv/all": ["/early", "/late"],
        "/n/a": ["/n/a2"],
        "/n/b": [],
        "/home": ["/data"],
    }
    assert held("/early/a.qcow2").number == "8:17"


def test_read_only_by_either_is_read_only(use: Use) -> None:
    use("22 1 8:1 / / rw,noatime - ext4 /dev/sda1 ro,errors=remount-ro\n")
    assert host_facts.mounts([])[0]["options"] == "noatime,ro,errors=remount-ro"
    row = canary.file_systems([])[0]
    assert (row["options"], row["super"]) == ("rw,noatime", "ro,errors=remount-ro")


def test_a_pool_names_no_drive_of_another_mount(use: Use) -> None:
    use(given("shfs"))
    assert host_facts.below("0:47", "") == []


def test_a_hundred_mounts_of_containers_are_no_file_systems_of_ours(use: Use) -> None:
    layers = "".join(
        line(f"0:{n}", f"/var/lib/docker/overlay2/{n}/merged", "overlay", "overlay", at=n)
        for n in range(100, 1100)
    )
    use(ROOT + layers)
    assert both("/srv/a.qcow2") == {"/": "/dev/sda1"}


def test_both_fronts_send_the_same_reader() -> None:
    reader = "labpanel.onhost.looks.mountinfo"
    assert all(reader in bundle.modules_of(one.PROGRAM) for one in (front, facts_front))
