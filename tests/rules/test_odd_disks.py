"""What a copy does not hold of a VM's disks, said by name."""

from dataclasses import replace

from backups.rules.backup.kept_beside import bounded
from backups.rules.backup.left_out import sentence
from backups.rules.backup.odd_disks import of_disks
from labpanel.lib.disks import SourceDisk
from labpanel.lib.left_out import LeftOut, LeftOutKind
from labpanel.lib.source_facts import ImageFacts

DISK = SourceDisk("vda", "disk", "file", "/srv/images/home.qcow2", "qcow2")
LENT = replace(DISK, target="vdb", source="/srv/images/ro-b.img", format="raw", read_only=True)


def test_a_plain_disk_leaves_nothing_out() -> None:
    medium = replace(DISK, device="cdrom", target="sda", read_only=True)
    assert of_disks([DISK, medium], {"vda": ImageFacts()}, []) == []


def test_disks_that_are_only_read_are_named_whatever_they_lie_on() -> None:
    lun = replace(LENT, target="sdc", device="lun", kind="block", source="/dev/sdq")
    bare = replace(LENT, target="vdd", source="")
    found = of_disks([DISK, LENT, lun, bare], {}, [])
    assert found == [
        LeftOut(LeftOutKind.READ_ONLY_DISK, "vdb (/srv/images/ro-b.img)"),
        LeftOut(LeftOutKind.READ_ONLY_DISK, "sdc (/dev/sdq)"),
        LeftOut(LeftOutKind.READ_ONLY_DISK, "vdd"),
    ]


def test_snapshots_inside_an_image_are_named_and_those_that_cannot_be_read_counted() -> None:
    image = ImageFacts(inside=("before-upgrade", ""), inside_count=5)
    said = [sentence(one) for one in of_disks([DISK], {"vda": image}, [])]
    assert said[0].startswith("The snapshot before-upgrade of vda is not in this copy")
    assert said[1].startswith("The snapshot (without a name) of vda")
    assert "(3 more of vda)" in said[2]
    unread = of_disks([DISK], {"vda": ImageFacts(inside_count=2)}, [])
    assert [one.subject for one in unread] == ["(2 of vda)"]


def test_each_file_that_qemu_marked_is_named() -> None:
    image = ImageFacts(corrupt=("/srv/images/home.qcow2", "/srv/base.qcow2"))
    said = [sentence(one) for one in of_disks([DISK], {"vda": image}, [])]
    assert "QEMU has marked the image of vda as corrupt." in said[0]
    assert "stands in /srv/images/home.qcow2" in said[0]
    assert "stands in /srv/base.qcow2" in said[1]


def test_a_medium_on_the_network_is_named_and_odd_names_fit_a_manifest() -> None:
    found = bounded(of_disks([], {}, ["hdc (https://192.0.2.9:443/iso/\n.iso)"]))
    assert found == [LeftOut(LeftOutKind.MEDIUM, "hdc (https://192.0.2.9:443/iso/ .iso)")]
