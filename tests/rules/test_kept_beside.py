"""What a definition has beside its disks, and which of it a copy does not hold."""

from pathlib import Path

import pytest

from backups.rules.backup.kept_beside import bounded, of_the_host
from backups.rules.backup.left_out import sentence
from labpanel.adapters.libvirt.xml.beside_xml import Tpm, beside
from labpanel.lib.left_out import LeftOut, LeftOutKind

CASES = Path(__file__).resolve().parents[2].parent / "shared" / "cases" / "domains"
OWN = """<domain type='kvm'><name>x</name><os><type>hvm</type>{os}</os>
<devices>{devices}</devices></domain>"""
NAS = """<hostdev mode='subsystem' type='pci' managed='yes'><source>
<address domain='0x0000' bus='0x02' slot='0x00' function='0x0'/></source></hostdev>
<hostdev mode='subsystem' type='scsi'><source>
<adapter name='scsi_host0'/><address bus='0' target='0' unit='0'/></source></hostdev>
<filesystem type='mount' accessmode='passthrough'><driver type='virtiofs'/>
<source dir='/srv/images/share'/><target dir='share'/></filesystem>"""


def domain(devices: str = "", os: str = "") -> str:
    return OWN.format(devices=devices, os=os)


@pytest.mark.parametrize(
    ("devices", "expected"),
    [
        (
            NAS,
            [
                (LeftOutKind.HOSTDEV, "PCI device 0000:02:00.0"),
                (LeftOutKind.HOSTDEV, "SCSI device scsi_host0 0:0:0"),
                (LeftOutKind.FILESYSTEM, "/srv/images/share (share in the guest)"),
            ],
        ),
        (
            "<hostdev mode='subsystem' type='usb'><source><vendor id='0x0658'/>"
            "<product id='0x0200'/></source></hostdev>",
            [(LeftOutKind.HOSTDEV, "USB device 0658:0200")],
        ),
        (
            "<hostdev mode='subsystem' type='usb'><source><address bus='1' device='4'/></source>"
            "</hostdev>",
            [(LeftOutKind.HOSTDEV, "USB device on bus 1, device 4")],
        ),
        (
            "<hostdev mode='subsystem' type='mdev' model='vfio-pci'><source>"
            "<address uuid='c2177883-f1bb-47f0-914d-32a22e3a8804'/></source></hostdev>",
            [(LeftOutKind.HOSTDEV, "mediated device c2177883-f1bb-47f0-914d-32a22e3a8804")],
        ),
        (
            "<hostdev mode='subsystem' type='scsi'><source protocol='iscsi' "
            "name='iqn.2014-07.com.example:iscsi-nopool/1'/></hostdev>",
            [(LeftOutKind.HOSTDEV, "SCSI device iscsi:iqn.2014-07.com.example:iscsi-nopool/1")],
        ),
        (
            "<interface type='hostdev'><mac address='52:54:00:00:00:01'/></interface>",
            [(LeftOutKind.HOSTDEV, "network card 52:54:00:00:00:01")],
        ),
        (
            "<filesystem type='mount'><source dir='/home/ann'/><target dir='home'/></filesystem>"
            "<filesystem type='mount'><driver type='virtiofs'/><source socket='/run/v.sock'/>"
            "<target dir='tank'/></filesystem>",
            [
                (LeftOutKind.FILESYSTEM, "/home/ann (home in the guest)"),
                (LeftOutKind.FILESYSTEM, "/run/v.sock (tank in the guest)"),
            ],
        ),
        (
            "<memory model='nvdimm'><source><path>/tank/pmem</path></source></memory>"
            "<memory model='dimm'><target><size unit='KiB'>1</size></target></memory>",
            [(LeftOutKind.NVDIMM, "/tank/pmem")],
        ),
        ("<hostdev/>", [(LeftOutKind.HOSTDEV, "device")]),
    ],
)
def test_what_belongs_to_the_host_is_told_by_name(
    devices: str, expected: list[tuple[LeftOutKind, str]]
) -> None:
    found = of_the_host([beside(domain(devices))])
    assert found == [LeftOut(*one) for one in expected]
    assert all(one.subject in sentence(one) for one in found)


def test_what_was_plugged_into_the_running_vm_only_is_told_too_and_each_once() -> None:
    stick = "<hostdev type='usb'><source><address bus='1' device='4'/></source></hostdev>"
    found = of_the_host([beside(domain(NAS)), beside(domain(NAS + stick))])
    assert [one.subject for one in found][3:] == ["USB device on bus 1, device 4"]


def test_a_plain_vm_leaves_nothing_out() -> None:
    assert of_the_host([beside(domain())]) == []


def test_a_direct_boot_and_a_tpm_are_read() -> None:
    found = beside(
        domain(
            "<tpm model='tpm-crb'><backend type='emulator' version='2.0'>"
            "<encryption secret='11111111-2222-3333-4444-555555555555'/></backend></tpm>",
            "<kernel>/boot/vmlinuz</kernel><initrd> /boot/initrd.img </initrd><dtb></dtb>",
        )
    )
    assert found.boot_files == {"kernel": "/boot/vmlinuz", "initrd": "/boot/initrd.img"}
    assert found.tpm == Tpm("emulator", "2.0", "11111111-2222-3333-4444-555555555555")
    assert beside(domain()).boot_files == {}


def test_names_of_any_length_fit_a_manifest() -> None:
    odd = [
        LeftOut(LeftOutKind.FILESYSTEM, f"{number}\n{'x' * 5000}", "y" * 900)
        for number in range(300)
    ]
    kept = bounded(odd)
    assert len(kept) == 256
    assert all("\n" not in one.subject and len(one.subject) <= 1000 for one in kept)
    assert all(len(one.why) <= 500 for one in kept)


@pytest.mark.skipif(not CASES.is_dir(), reason="the inputs that were given are not here")
def test_the_given_definitions_are_read_as_they_are_meant() -> None:
    found = {
        name: beside((CASES / f"{name}.xml").read_text()) for name in ("nas", "direct", "win11")
    }
    assert [one.subject for one in of_the_host([found["nas"]])] == [
        "PCI device 0000:02:00.0",
        "SCSI device scsi_host0 0:0:0",
        "/srv/images/share (share in the guest)",
    ]
    assert found["direct"].boot_files == {
        "kernel": "/srv/images/boot/vmlinuz",
        "initrd": "/srv/images/boot/initrd.img",
    }
    assert found["win11"].tpm == Tpm("emulator", "2.0")
    assert of_the_host([found["direct"], found["win11"]]) == []
