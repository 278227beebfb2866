"""The XML that backups and restores read and write."""

from xml.etree import ElementTree

import pytest

from labpanel.adapters.libvirt.xml import backup_xml, beside_xml, restore_xml
from labpanel.adapters.libvirt.xml.restore_xml import NewIdentity

OLD = "11111111-2222-4333-8444-555555555555"
NEW = "99999999-2222-4333-8444-555555555555"
XML = f"""<domain type='kvm'>
  <name>home &amp; &lt;garden&gt;</name><uuid>{OLD}</uuid><genid>{OLD}</genid>
  <sysinfo type='smbios'><system><entry name='uuid'>{OLD}</entry></system></sysinfo>
  <os><type machine='pc-q35-7.2'>hvm</type><loader type='pflash'>/usr/share/OVMF/CODE.fd</loader>
    <nvram template='/usr/share/OVMF/VARS.fd'>/var/lib/libvirt/qemu/nvram/home_VARS.fd</nvram></os>
  <cpu mode='host-model'/>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <controller type='scsi' index='0'><driver iothread='1'/></controller>
    <disk type='file' device='disk'><driver name='qemu' type='qcow2'/>
      <source file='/srv/images/home.qcow2'/><backingStore/><target dev='vda' bus='virtio'/></disk>
    <disk type='block' device='disk'><driver name='qemu' type='raw'/>
      <source dev='/dev/vg/data'/><target dev='sdb' bus='scsi'/></disk>
    <disk type='file' device='cdrom'><source file='/iso/debian.iso'/>
      <target dev='sda' bus='sata'/><readonly/></disk>
    <interface type='network'><mac address='52:54:00:01:02:03'/><source network='lan'/>
      <target dev='vnet7'/></interface>
    <interface type='bridge'><mac address='52:54:00:01:02:04'/><source bridge='br0'/></interface>
    <serial type='pty'><log file='/var/log/vms/home.log'/></serial>
    <graphics type='vnc' port='5901' autoport='no'/>
    <channel type='unix'><source mode='bind' path='/x/home.agent'/>
      <target type='virtio' name='org.qemu.guest_agent.0'/></channel>
  </devices>
</domain>"""
IMAGES = {"vda": "/srv/images/copy-vda.qcow2", "sdb": "/srv/images/copy-sdb.raw"}

FORMATS = {"vda": "qcow2", "sdb": "raw"}


def fitted(*, is_copy: bool, gone: frozenset[str] = frozenset()) -> ElementTree.Element:
    identity = NewIdentity("copy 'n <more>", NEW if is_copy else OLD, is_copy)
    text = restore_xml.fitted(
        XML, identity, IMAGES, gone=gone, formats=FORMATS, nvram="/nvram/copy.fd"
    )
    return ElementTree.fromstring(text)  # noqa: S314 - our own


def test_what_it_can_do_without_is_read_from_the_xml() -> None:
    optional = restore_xml.optional(XML)
    assert optional.media == {"/iso/debian.iso"}
    assert optional.logs == {"/var/log/vms/home.log"}
    assert restore_xml.far_media(XML) == ()


def test_a_copy_shares_nothing_that_must_be_its_own() -> None:
    root = fitted(is_copy=True)
    assert root.find("devices/serial/log") is None
    assert (root.findtext("name"), root.findtext("uuid")) == ("copy 'n <more>", NEW)
    assert root.findtext("sysinfo/system/entry") == NEW
    assert root.find("genid") is None
    macs = [mac.get("address", "") for mac in root.iterfind("devices/interface/mac")]
    assert len(set(macs)) == 2
    assert all(mac.startswith("52:54:00:") for mac in macs)
    assert not {"52:54:00:01:02:03", "52:54:00:01:02:04"} & set(macs)
    graphics = root.find("devices/graphics")
    assert graphics is not None
    assert (graphics.get("port"), graphics.get("autoport")) == (None, "yes")
    assert root.find("devices/channel/source") is None
    assert root.findtext("os/nvram") == "/nvram/copy.fd"


def test_the_vm_itself_keeps_what_it_was() -> None:
    root = fitted(is_copy=False)
    assert root.findtext("uuid") == OLD
    macs = [mac.get("address") for mac in root.iterfind("devices/interface/mac")]
    assert macs == ["52:54:00:01:02:03", "52:54:00:01:02:04"]
    cpu = root.find("cpu")
    assert cpu is not None
    assert cpu.get("mode") == "host-model"


def test_disks_become_files_in_their_new_place() -> None:
    disks = fitted(is_copy=True).findall("devices/disk")
    sources = [disk.find("source") for disk in disks]
    assert [source.get("file") for source in sources if source is not None] == [
        *IMAGES.values(),
        "/iso/debian.iso",
    ]
    assert [disk.get("type") for disk in disks] == ["file", "file", "file"]


def test_an_image_is_opened_as_what_it_is_whatever_the_definition_says() -> None:
    """QEMU follows the backing file in a raw image's content if it opens it as qcow2."""
    lying = XML.replace("<driver name='qemu' type='raw'/>", "<driver name='qemu' type='qcow2'/>")
    bare = XML.replace("<driver name='qemu' type='raw'/>", "")
    for xml in (lying, bare):
        text = restore_xml.fitted(
            xml, NewIdentity("copy", NEW, True), IMAGES, gone=(), formats=FORMATS
        )
        driver = ElementTree.fromstring(text).find("devices/disk[2]/driver")  # noqa: S314 - ours
        assert driver is not None
        assert driver.get("type") == "raw"


def test_a_passed_on_scsi_disk_becomes_a_plain_one() -> None:
    lun = XML.replace("type='block' device='disk'", "type='block' device='lun' sgio='unfiltered'")
    text = restore_xml.fitted(lun, NewIdentity("copy", NEW, True), IMAGES, gone=(), formats=FORMATS)
    assert "lun" not in text
    assert "sgio" not in text


def test_another_vms_uefi_variables_are_never_taken() -> None:
    text = restore_xml.fitted(XML, NewIdentity("copy", NEW, True), IMAGES, gone=(), formats=FORMATS)
    assert "home_VARS.fd" not in text
    assert "/usr/share/OVMF/VARS.fd" in text


def test_media_and_logs_that_are_not_there_are_left_out() -> None:
    gone = frozenset({"/iso/debian.iso", "/var/log/vms/home.log"})
    root = fitted(is_copy=False, gone=gone)
    assert root.find("devices/disk[@device='cdrom']/source") is None
    assert root.find("devices/disk[@device='cdrom']/target") is not None
    assert root.find("devices/serial/log") is None


def test_disks_are_read_with_what_matters_for_a_backup() -> None:
    disks = {disk.target: disk for disk in backup_xml.source_disks(XML)}
    assert [disk.target for disk in disks.values() if disk.holds_data] == ["vda", "sdb"]
    assert (disks["sdb"].kind, disks["sdb"].source) == ("block", "/dev/vg/data")
    assert disks["sdb"].iothread  # by its controller
    assert not disks["vda"].iothread
    assert beside_xml.beside(XML).nvram == "/var/lib/libvirt/qemu/nvram/home_VARS.fd"


def test_a_disk_that_is_only_plugged_in_is_kept_in_the_definition() -> None:
    live = XML.replace(
        "<interface type='network'>",
        "<disk type='file' device='disk'><source file='/srv/new.raw' index='3'/><backingStore/>"
        "<target dev='vdz' bus='virtio'/><alias name='virtio-disk9'/></disk>"
        "<interface type='network'>",
        1,
    )
    kept = backup_xml.definition(live, XML, ["vda", "vdz"])
    assert {disk.target for disk in backup_xml.source_disks(kept)} == {"vda", "sda", "vdz"}
    assert "index='3'" not in kept.replace('"', "'")
    assert "alias" not in kept


@pytest.mark.parametrize("path", ["/srv/a b/'q'.qcow2", "/srv/日本語 <&>.qcow2"])
def test_odd_paths_survive_the_backup_description(path: str) -> None:
    root = ElementTree.fromstring(  # noqa: S314 - our own
        backup_xml.pull_description("/run/it's.sock", {"vda": path})
    )
    scratch, server = root.find("disks/disk/scratch"), root.find("server")
    assert scratch is not None
    assert server is not None
    assert (scratch.get("file"), server.get("socket")) == (path, "/run/it's.sock")
    assert [disk.get("backup") for disk in root.iterfind("disks/disk")] == ["yes"]
