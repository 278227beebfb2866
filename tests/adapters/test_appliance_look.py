"""What appliance_look.py makes of libguestfs's answers: names of devices, the guest's own fstab."""

from typing import Any

import pytest

from labpanel.adapters.rehearsal.appliance import parse
from labpanel.onhost.rehearsal.appliance_look import ApplianceLook, table

SPARE = bytes(56) + b"\x53\xef" + bytes(32) + b"\x01\x00" + bytes(932)


class Guest:
    """libguestfs with one /etc/fstab; `systems` is what list_filesystems says."""

    def __init__(self, fstab: str, systems: dict[str, str], labels: dict[str, str]) -> None:
        self.fstab, self.systems, self.labels = fstab, systems, labels
        self.broken: set[str] = set()
        self.spare: dict[str, int] = {}
        self.mounted = ""
        self.why = "mount: wrong fs type, bad option, bad superblock"

    def list_devices(self) -> list[str]:
        return ["/dev/sda", "/dev/sdb"]

    def blockdev_getsize64(self, device: str) -> int:
        return 1 << 30

    def list_filesystems(self) -> dict[str, str]:
        return self.systems

    def vfs_label(self, device: str) -> str:
        return self.labels.get(device, "")

    def vfs_uuid(self, device: str) -> str:
        return f"ABC-{device[-1]}"

    def mount_ro(self, device: str, point: str) -> None:
        if device in self.broken:
            raise RuntimeError(self.why)
        self.mounted = device

    def umount_all(self) -> None:
        self.mounted = ""

    def is_file(self, path: str, *, followsymlinks: bool) -> bool:
        return self.mounted == "/dev/sda1" and bool(self.fstab)

    def is_dir(self, path: str, *, followsymlinks: bool = False) -> bool:
        return path == "/"

    def read_file(self, path: str) -> bytes:
        return self.fstab.encode()

    def pread_device(self, device: str, count: int, offset: int) -> bytes:
        if self.spare.get(device) != offset:
            raise RuntimeError("short read")
        return SPARE

    def debug(self, verb: str, words: list[str]) -> str:
        return "3 1700000000\n"


def looked(guest: Guest) -> Any:
    asked = {"disks": [{"target": "vda"}, {"target": "vdb"}], "places": [], "most": 9, "seconds": 9}
    return parse(ApplianceLook(guest, asked).result())


SYSTEMS = {"/dev/sda1": "ext4", "/dev/sdb": "ext4"}


@pytest.mark.parametrize(
    "device",
    [
        "LABEL=files",
        "UUID=abc-b",
        "/dev/vdb",
        "/dev/sdb",
        "/dev/xvdb",
        "/dev/disk/by-label/files",
        "/dev/disk/by-uuid/ABC-b",
    ],
)
def test_the_guests_own_table_names_its_file_systems(device: str) -> None:
    found = looked(Guest(f"{device} /home ext4 noatime 0 2\n", SYSTEMS, {"/dev/sdb": "files"}))
    assert [(one.device, one.point) for one in found.systems] == [("vda1", "/"), ("vdb", "/home")]
    assert (dict(found.lacking), found.trees["/home"].files) == ({}, 3)


def test_what_no_disk_holds_is_lacking_unless_a_boot_goes_on_without_it() -> None:
    fstab = "UUID=1 /srv xfs defaults\nUUID=2 /old ext4 nofail\nhost:/x /x nfs\n"
    fstab += "/dev/sr0 /cd iso9660 noauto\n"
    assert dict(looked(Guest(fstab, SYSTEMS, {})).lacking) == {"/srv": "UUID=1"}


def test_a_volume_has_the_name_that_its_guest_gives_it() -> None:
    systems = {"/dev/sda1": "ext4", "/dev/my-vg/home": "xfs"}
    found = looked(Guest("/dev/mapper/my--vg-home /home xfs defaults\n", systems, {}))
    assert ("my-vg/home", "/home") in [(one.device, one.point) for one in found.systems]


def test_subvolumes_are_told_apart() -> None:
    systems = {"btrfsvol:/dev/sdb/@": "btrfs", "btrfsvol:/dev/sdb/@home": "btrfs", **SYSTEMS}
    del systems["/dev/sdb"]
    fstab = "/dev/vdb / btrfs subvol=@ 0 0\n/dev/vdb /home btrfs subvol=/@home 0 0\n"
    points = {one.device: one.point for one in looked(Guest(fstab, systems, {})).systems}
    assert (points["vdb @"], points["vdb @home"]) == ("/", "/home")


@pytest.mark.parametrize("offset", [8193 * 1024, 16384 * 2048, 32768 * 4096])
def test_an_ext_file_system_without_its_beginning_is_known_by_its_spare(offset: int) -> None:
    guest = Guest("", {"/dev/sda1": "ext4", "/dev/sdb": "unknown"}, {})
    assert looked(guest).systems[1].why_not == ""  # nothing was ever on it
    guest.spare = {"/dev/sdb": offset}
    assert "first superblock is gone" in looked(guest).systems[1].why_not


def test_what_does_not_mount_says_why() -> None:
    guest = Guest("LABEL=files /home ext4 defaults\n", SYSTEMS, {"/dev/sdb": "files"})
    guest.broken = {"/dev/sdb"}
    home = looked(guest).systems[1]
    assert (home.name, home.why_not) == (
        "/home",
        "mount: wrong fs type, bad option, bad superblock",
    )


def test_a_table_in_any_shape_is_read() -> None:
    lines = table(b"# x\n\n/dev/vda1\nLABEL=\xff /a\\040b ext4\n//srv/x /y cifs\nnone /p proc\n")
    assert [(line["point"], line["must"]) for line in lines] == [("/a b", "yes")]


def test_a_kind_that_the_appliance_does_not_know_is_not_called_broken() -> None:
    guest = Guest("", {"/dev/sda1": "ext4", "/dev/sdb": "bcachefs"}, {})
    guest.broken, guest.why = {"/dev/sdb"}, "mount: unknown filesystem type 'bcachefs'"
    strange = looked(guest).systems[1]
    assert (strange.why_not, strange.hidden) == ("", "the appliance’s kernel knows no bcachefs")
