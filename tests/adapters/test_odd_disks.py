"""Disks that are not one plain image: what of them is read out of a definition, and what of a
definition comes back (the inputs of ../shared/cases/domains, and others of their kind)."""

from xml.etree import ElementTree

import pytest

from backups.rules.backup import fit
from labpanel.adapters.libvirt.xml import backup_xml, move_xml, restore_xml
from labpanel.adapters.libvirt.xml.restore_xml import NewIdentity
from labpanel.env import REPOSITORY

CASES = REPOSITORY.parent / "shared" / "cases" / "domains"
NEW = NewIdentity("copy", "99999999-2222-4333-8444-555555555555", True)
SECRET = "<secret type='passphrase' uuid='11111111-2222-3333-4444-555555555555'/>"
LUKS = f"<encryption format='luks'>{SECRET}</encryption>"


def domain(disk: str) -> str:
    return f"<domain type='qemu'><name>odd</name><uuid/><devices>{disk}</devices></domain>"


def file_disk(inside: str = "", below: str = "", form: str = "qcow2") -> str:
    return domain(
        f"<disk type='file' device='disk'><driver name='qemu' type='{form}'/>"
        f"<source file='/srv/images/odd'>{inside}</source>{below}"
        "<target dev='vda' bus='virtio'/></disk>"
    )


def lower(inside: str, form: str = "raw") -> str:
    return (
        f"<backingStore type='file'><format type='{form}'/>"
        f"<source file='/srv/images/base'>{inside}</source><backingStore/></backingStore>"
    )


def slices(kind: str, offset: int, size: int) -> str:
    return f"<slices><slice type='{kind}' offset='{offset}' size='{size}'/></slices>"


def shared(name: str) -> str:
    path = CASES / name
    if not path.exists():
        pytest.skip("the inputs of the cases are not beside this checkout")
    return path.read_text("utf-8")


def why(xml: str) -> str:
    return " ".join(fit.obstacles("odd", backup_xml.source_disks(xml), busy=False))


ENCRYPTED = {
    "in its source": file_disk(LUKS),
    "beside its source, as it was written before libvirt 3.9": file_disk("", LUKS, "raw"),
    "by an old way": file_disk(LUKS.replace("luks'", "qcow'")),
    "below it": file_disk("", lower(LUKS)),
    "on a block device": file_disk(LUKS).replace("'file' device", "'block' device"),
}


@pytest.mark.parametrize("how", ENCRYPTED)
def test_a_disk_whose_key_qemu_has_is_neither_backed_up_nor_moved(how: str) -> None:
    assert "vda of odd is encrypted" in why(ENCRYPTED[how])
    assert move_xml.needs(ENCRYPTED[how]).disks[0].encrypted


@pytest.mark.parametrize("name", ["luksq.xml", "luksr.xml"])
def test_the_cases_with_luks(name: str) -> None:
    xml = shared(name)
    assert "vda of odd is encrypted, and QEMU has its key" in why(xml)
    assert "encrypt.key-secret" not in why(xml)
    assert move_xml.needs(xml).disks[0].encrypted


SLICED = {
    "by the case": slices("storage", 1 << 20, 4 << 20),
    "from its beginning": slices("storage", 0, 4 << 20),
    "beyond the end of its file": slices("storage", 1 << 40, 512),
}


@pytest.mark.parametrize("how", SLICED)
def test_a_part_of_a_file_is_neither_backed_up_nor_moved(how: str) -> None:
    for xml in (file_disk(SLICED[how], form="raw"), file_disk("", lower(SLICED[how]))):
        assert "vda of odd is a part of a larger file (slices)" in why(xml)
        assert move_xml.needs(xml).disks[0].sliced


def test_the_case_with_slices() -> None:
    assert "part of a larger file (slices)" in why(shared("slices.xml"))


def test_a_disk_of_tables_only_is_not_moved() -> None:
    data = "<dataStore type='file'><format type='raw'/><source file='/srv/data'/></dataStore>"
    assert move_xml.needs(file_disk(data)).disks[0].data_elsewhere
    assert not move_xml.needs(file_disk()).disks[0].data_elsewhere


def restored(xml: str, *, ciphered: tuple[str, ...] = (), form: str = "raw") -> ElementTree.Element:
    target = restore_xml.data_targets(xml)[0]
    paths = {target: "/srv/images/copy"}
    text = restore_xml.fitted(xml, NEW, paths, gone=(), formats={target: form}, ciphered=ciphered)
    disk = ElementTree.fromstring(text).find("devices/disk")  # noqa: S314 - our own
    assert disk is not None
    return disk


@pytest.mark.parametrize("how", ENCRYPTED)
def test_a_plain_image_is_not_defined_as_an_encrypted_one(how: str) -> None:
    """Copies of earlier versions hold plain text of such disks."""
    disk = restored(ENCRYPTED[how])
    assert next(disk.iter("encryption"), None) is None
    assert restore_xml.encrypted(ENCRYPTED[how]) == {"vda"}


def test_an_image_that_holds_what_was_encrypted_keeps_its_key() -> None:
    """A raw one that was read while its VM was off, by an earlier version."""
    disk = restored(file_disk("", LUKS, "raw"), ciphered=("vda",))
    assert disk.find("encryption/secret") is not None
    assert restored(file_disk("", LUKS, "raw")).find("encryption") is None


RESERVED = "<reservations managed='yes'/>"
LUNS = {
    "plain": "<disk type='block' device='lun'><source dev='/dev/sdq'/>",
    "with rights": "<disk type='block' device='lun' sgio='unfiltered' rawio='yes'>"
    "<driver name='qemu' type='raw' cache='none' io='native'/><source dev='/dev/sdq'/>",
    "with reservations": "<disk type='block' device='lun'><driver name='qemu' type='raw'/>"
    f"<source dev='/dev/disk/by-id/wwn-0x5'>{RESERVED}</source>",
    "without a driver": "<disk type='block' device='lun' rawio='no'><source dev='/dev/sdq'>"
    "<reservations managed='no'><source type='unix' path='/x' mode='client'/></reservations>"
    "</source>",
}


@pytest.mark.parametrize("how", LUNS)
def test_a_disk_that_passes_scsi_commands_on_comes_back_as_a_plain_one(how: str) -> None:
    disk = restored(domain(f"{LUNS[how]}<target dev='sda' bus='scsi'/></disk>"))
    assert (disk.get("type"), disk.get("device")) == ("file", "disk")
    assert not {"sgio", "rawio"} & set(disk.attrib)
    assert next(disk.iter("reservations"), None) is None


def test_the_case_with_a_lun() -> None:
    xml = shared("lun.xml")
    disk = restored(xml)
    assert (disk.get("type"), disk.get("device")) == ("file", "disk")
    assert why(xml) == ""


def test_media_that_come_over_the_network_are_named_without_what_a_query_holds() -> None:
    assert backup_xml.network_media(shared("media.xml")) == (
        "hdc (https://192.0.2.9:443/iso/x.iso)",
    )
    drive = "<disk type='network' device='cdrom'><target dev='sda'/>"
    odd = (
        f"{drive}<source protocol='http' name='/a.iso' query='key=secret'>"
        "<host name='mirror'/></source></disk>",
        f"{drive}<source protocol='nbd'><host transport='unix' socket='/run/x'/></source></disk>",
        f"{drive}<source protocol='ftp' name='b.iso'/></disk>",
        f"{drive}</disk>",
    )
    assert [backup_xml.network_media(domain(one)) for one in odd] == [
        ("sda (http://mirror/a.iso)",),
        ("sda (nbd:///run/x/)",),
        ("sda (ftp:///b.iso)",),
        (),
    ]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("net.xml", ["vda of odd is a network disk", "vdb of odd is a network disk"]),
        ("nvme.xml", ["vda of odd is a nvme disk"]),
        ("onblock.xml", []),
        ("ext.xml", []),
        ("win11.xml", []),
    ],
)
def test_what_was_right_already_stays_so(name: str, said: list[str]) -> None:
    disks = [disk for disk in backup_xml.source_disks(shared(name)) if disk.holds_data]
    found = fit.obstacles("odd", disks, busy=False)
    assert [sentence.partition(",")[0] for sentence in found] == said


@pytest.mark.parametrize(
    ("name", "needed"),
    [
        (
            "readonly.xml",
            {"/srv/images/ro-b.img": "the read-only image /srv/images/ro-b.img (vdb)"},
        ),
        (
            "direct.xml",
            {
                "/srv/images/boot/vmlinuz": "the kernel /srv/images/boot/vmlinuz",
                "/srv/images/boot/initrd.img": "the initrd /srv/images/boot/initrd.img",
            },
        ),
        (
            "nas.xml",
            {
                "/srv/images/share": "the shared folder /srv/images/share",
                "/sys/bus/pci/devices/0000:02:00.0": "the PCI device 0000:02:00.0",
                "/sys/bus/scsi/devices/0:0:0:0": "the SCSI device 0:0:0:0",
            },
        ),
        ("media.xml", {}),
        ("lun.xml", {}),
    ],
)
def test_what_the_cases_need_of_a_host(name: str, needed: dict[str, str]) -> None:
    found = move_xml.needs(shared(name))
    assert {thing.path: thing.words for thing in found.things} == needed
    assert move_xml.needs(shared("win11.xml")).programs == ["swtpm", "swtpm_setup"]


DEVICES = {
    "<hostdev type='usb'><source><address bus='2' device='7'/></source></hostdev>": (
        "/dev/bus/usb/002/007"
    ),
    "<hostdev type='mdev'><source><address uuid='0f-a../x'/></source></hostdev>": (
        "/sys/bus/mdev/devices/0f-a..x"
    ),
    "<hostdev mode='capabilities' type='storage'><source><block>/dev/sdz</block></source>"
    "</hostdev>": "/dev/sdz",
    "<interface type='hostdev'><source><address type='pci' domain='0' bus='16' slot='0x1f' "
    "function='2'/></source></interface>": "/sys/bus/pci/devices/0000:10:1f.2",
    "<memory model='nvdimm'><source><path>/srv/nv</path></source></memory>": "/srv/nv",
    "<tpm><backend type='passthrough'><device path='/dev/tpm0'/></backend></tpm>": "/dev/tpm0",
    "<serial type='dev'><source path='/dev/ttyS0'/></serial>": "/dev/ttyS0",
    "<input type='evdev'><source dev='/dev/input/event1'/></input>": "/dev/input/event1",
    "<rng><backend model='random'>/dev/hwrng</backend></rng>": "/dev/hwrng",
    "<disk type='block' device='lun'><source dev='/dev/sdq'/><target dev='sda'/><readonly/>"
    "</disk>": "/dev/sdq",
}
NOTHING = (
    "<rng><backend model='random'>/dev/urandom</backend></rng>",
    "<hostdev type='usb'><source><vendor id='0x046d'/><product id='0xc52b'/></source></hostdev>",
    "<hostdev type='pci'/>",
    "<interface type='hostdev'/>",
    "<filesystem type='mount'><source dir='relative'/></filesystem>",
    "<disk type='file' device='cdrom'><source file='/iso/x.iso'/><target dev='sda'/><readonly/>"
    "</disk>",
)


@pytest.mark.parametrize("device", DEVICES)
def test_a_device_is_looked_for_where_linux_shows_it(device: str) -> None:
    assert [thing.path for thing in move_xml.needs(domain(device)).things] == [DEVICES[device]]


@pytest.mark.parametrize("device", NOTHING)
def test_what_every_host_has_or_nobody_can_look_for_is_not_asked(device: str) -> None:
    assert move_xml.needs(domain(device)).things == ()
