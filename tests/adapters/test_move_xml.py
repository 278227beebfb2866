"""What a move reads out of domain XML, and what it changes in it."""

from xml.etree import ElementTree

from labpanel.adapters.libvirt.xml.move_xml import needs, rewritten

XML = """<domain type='kvm' id='3'>
  <name>it's &lt;web&gt; サーバ</name><uuid>u-1</uuid>
  <memory unit='MiB'>256</memory>
  <os>
    <type arch='x86_64' machine='pc-q35-7.2'>hvm</type>
    <loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE.fd</loader>
    <nvram template='/usr/share/OVMF/OVMF_VARS.fd'>/var/lib/libvirt/qemu/nvram/web_VARS.fd</nvram>
  </os>
  <cpu mode='custom'><model>qemu64</model></cpu>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/><source file='/a/web &amp; co.qcow2'/>
      <backingStore type='file'><source file='/a/base.qcow2'/></backingStore>
      <target dev='vda' bus='virtio'/>
    </disk>
    <disk type='block' device='disk'>
      <driver type='raw'/><source dev='/dev/vg/web'/><target dev='vdb'/>
    </disk>
    <disk type='file' device='cdrom'>
      <source file='/iso/debian.iso'/><target dev='sda'/><readonly/>
    </disk>
    <disk type='file' device='cdrom'><target dev='sdb'/><readonly/></disk>
    <interface type='bridge'><source bridge='br0'/></interface>
    <interface type='network'><source network='default' bridge='virbr0'/></interface>
    <interface type='direct'><source dev='eth1'/></interface>
    <hostdev mode='subsystem' type='pci'/>
    <filesystem type='mount'><target dir='share'/></filesystem>
    <tpm model='tpm-crb'><backend type='emulator'/></tpm>
  </devices>
</domain>"""


def test_what_it_needs_of_a_host() -> None:
    found = needs(XML)
    assert (found.name, found.uuid) == ("it's <web> サーバ", "u-1")
    assert (found.arch, found.machine, found.emulated) == ("x86_64", "pc-q35-7.2", False)
    assert found.memory_bytes == 256 << 20
    assert (found.bridges, found.networks, found.directs) == (("br0",), ("default",), ("eth1",))
    assert found.passthrough == ("a passed-through pci device", "a shared folder (share)")
    assert [thing.words for thing in found.things] == [
        "the emulator /usr/bin/qemu-system-x86_64",
        "the firmware /usr/share/OVMF/OVMF_CODE.fd",
        "the template of the UEFI variables /usr/share/OVMF/OVMF_VARS.fd",
    ]
    assert found.paths[-1] == "/iso/debian.iso"
    assert found.nvram == "/var/lib/libvirt/qemu/nvram/web_VARS.fd"
    assert found.tpm


def test_what_travels_and_what_does_not() -> None:
    found = needs(XML)
    assert [(disk.target, disk.kind, disk.stacked) for disk in found.copied] == [
        ("vda", "file", True),
        ("vdb", "block", False),
    ]
    assert found.copied[0].source == "/a/web & co.qcow2"
    assert [disk.source for disk in found.media] == ["/iso/debian.iso"]


def test_images_get_their_new_paths_and_a_missing_medium_is_taken_out() -> None:
    paths = {
        "/a/web & co.qcow2": "/b/web & co.qcow2",
        "/var/lib/libvirt/qemu/nvram/web_VARS.fd": "/b/vars.fd",
    }
    root = ElementTree.fromstring(rewritten(XML, paths, {"sda"}))  # noqa: S314 - made here
    disks = {
        target.get("dev"): disk
        for disk in root.iterfind("devices/disk")
        if (target := disk.find("target")) is not None
    }
    source = disks["vda"].find("source")
    assert source is not None and source.get("file") == "/b/web & co.qcow2"
    assert disks["vda"].find("backingStore") is None
    assert disks["sda"].find("source") is None
    assert root.findtext("os/nvram") == "/b/vars.fd"
    assert root.findtext("name") == "it's <web> サーバ"


def test_without_changes_the_description_stays_the_same() -> None:
    assert needs(rewritten(XML, {})) == needs(XML)


def test_uefi_variables_are_found_in_the_newer_spelling_too() -> None:
    source = "<nvram type='file'><source file='/n/x_VARS.fd'/></nvram>"
    assert needs(f"<domain><os>{source}</os></domain>").nvram == "/n/x_VARS.fd"
    assert needs("<domain><os><nvram> /n/y </nvram></os></domain>").nvram == "/n/y"
