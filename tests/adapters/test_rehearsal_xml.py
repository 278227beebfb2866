"""A rehearsal's domain can reach nothing: what is not known to be harmless is not in it."""

import dataclasses
import re
from xml.etree import ElementTree

import pytest

from labpanel.adapters.libvirt.xml import rehearsal_xml
from labpanel.adapters.libvirt.xml.rehearsal_xml import OverlayImage, RehearsalDomain

FULL = """
<domain type='kvm' id='7' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>{name}</name><uuid>11111111-2222-4333-8444-555555555555</uuid>
  <genid>0b7e0a1c-0000-4000-8000-000000000001</genid><title>{name}</title>
  <metadata><x:y xmlns:x='urn:x'>secret</x:y></metadata>
  <memory unit='GiB'>8</memory><maxMemory slots='4' unit='GiB'>16</maxMemory>
  <memoryBacking><hugepages/><source type='memfd'/><access mode='shared'/></memoryBacking>
  <vcpu placement='static' current='2'>8</vcpu><iothreads>2</iothreads>
  <cputune><vcpupin vcpu='0' cpuset='1'/></cputune><numatune><memory nodeset='1'/></numatune>
  <sysinfo type='smbios'><system><entry name='uuid'>11111111-2222-4333-8444-555555555555</entry>
  </system></sysinfo><sysinfo type='fwcfg'><entry name='opt/a' file='/etc/shadow'/></sysinfo>
  <os firmware='efi'><type arch='x86_64' machine='pc-q35-7.2'>hvm</type>
    <loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE_4M.fd</loader>
    <nvram template='/usr/share/OVMF/OVMF_VARS_4M.fd'>/var/lib/libvirt/qemu/nvram/home.fd</nvram>
    <acpi><table type='slic'>/etc/slic</table></acpi><boot dev='hd'/></os>
  <cpu mode='host-passthrough'><topology sockets='1' cores='8' threads='1'/>
    <numa><cell id='0' cpus='0-7' memory='8' unit='GiB'/></numa></cpu>
  <on_poweroff>restart</on_poweroff><on_crash>coredump-restart</on_crash>
  <devices>
    <emulator>/usr/libexec/qemu-kvm</emulator>
    <disk type='file' device='disk'><driver name='qemu' type='raw' cache='none' iothread='1'/>
      <source file='/srv/images/home.img' index='1'><seclabel model='dac' relabel='no'/></source>
      <backingStore/><target dev='vda' bus='virtio'/>
      <iotune><read_iops_sec>1</read_iops_sec></iotune>
      <shareable/><transient/><alias name='virtio-disk0'/>
      <boot order='1'/>
      <address type='pci' domain='0x0000' bus='0x04' slot='0x00' function='0x0'/></disk>
    <disk type='block' device='lun'><source dev='/dev/sdb'/><target dev='sda' bus='scsi'/>
      <serial>WD-1</serial></disk>
    <disk type='file' device='disk'><source file='/srv/images/left-out.img'/>
      <target dev='vdz' bus='virtio'/></disk>
    <disk type='file' device='cdrom'><source file='/srv/iso/x.iso'/><target dev='sdb'/></disk>
    <controller type='scsi' model='virtio-scsi'><driver iothread='2'/><alias name='s'/></controller>
    <interface type='bridge'><source bridge='br0'/><model type='virtio'/></interface>
    <interface type='user'/>
    <hostdev mode='subsystem' type='pci'><source><address bus='0x01'/></source></hostdev>
    <filesystem type='mount'><source dir='/'/><target dir='host'/></filesystem>
    <shmem name='s'/><redirdev bus='usb' type='spicevmc'/><tpm model='tpm-crb'/>
    <vsock model='virtio'><cid auto='yes'/></vsock><smartcard mode='host'/>
    <memory model='nvdimm'><source><path>/srv/nvdimm</path></source></memory>
    <serial type='tcp'><source mode='connect' host='10.0.0.1' service='23'/></serial>
    <serial type='file'><source path='/root/x'/><log file='/root/log'/></serial>
    <parallel type='dev'><source path='/dev/parport0'/></parallel>
    <console type='pty'/><channel type='spicevmc'/>
    <channel type='unix'><source mode='bind' path='/x'/>
      <target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    <input type='evdev'><source dev='/dev/input/event1'/></input>
    <graphics type='vnc' port='5900' listen='0.0.0.0'><listen type='address' address='0.0.0.0'/>
    </graphics><graphics type='spice'/>
    <sound model='ich9'/><audio id='1' type='spice'/><video><model type='qxl'/></video>
    <rng model='virtio'><backend model='egd' type='tcp'><source host='10.0.0.1'/></backend></rng>
    <watchdog model='i6300esb' action='dump'/><crypto model='virtio'/>
    <memballoon model='virtio'><alias name='b'/></memballoon>
  </devices>
  <seclabel type='static' model='apparmor' relabel='no'><label>unconfined</label></seclabel>
  <qemu:commandline><qemu:arg value='-netdev'/><qemu:arg value='user,id=x'/></qemu:commandline>
</domain>
""".replace("{name}", "a&quot;b'&lt;c>&amp;../$(touch x) 日本語")
DOMAIN = RehearsalDomain(
    name="labpanel-rehearsal-12-abc",
    uuid="99999999-2222-4333-8444-555555555555",
    job=12,
    memory_bytes=512 << 20,
    vcpus=1,
    kvm=True,
    console="/srv/images/.labpanel-rehearsal-12-abc/console.log",
    nvram="/srv/images/.labpanel-rehearsal-12-abc/nvram.fd",
)
IMAGES = [
    OverlayImage("vda", "/scratch/vda.qcow2", "/run/libvirt/labpanel-x/vda.sock", "vda"),
    OverlayImage("sda", "/scratch/sda.qcow2", "/run/libvirt/labpanel-x/sda.sock", "sda"),
]
# Every device that a rehearsal may have at all.
HARMLESS = {
    "disk",
    "controller",
    "hub",
    "memballoon",
    "rng",
    "serial",
    "channel",
    "video",
}


def parsed(domain: RehearsalDomain) -> ElementTree.Element:
    return ElementTree.fromstring(rehearsal_xml.rehearsal(FULL, domain, IMAGES))  # noqa: S314 - ours


@pytest.fixture
def made() -> ElementTree.Element:
    return parsed(DOMAIN)


def test_there_is_no_way_out(made: ElementTree.Element) -> None:
    devices = made.find("devices")
    assert devices is not None
    assert {device.tag for device in devices} == HARMLESS - {"hub"}
    assert made.findall(".//interface") == made.findall(".//graphics") == []
    text = ElementTree.tostring(made, encoding="unicode")
    for trace in ("netdev", "10.0.0.1", "br0", "5900", "hostdev", "commandline", "vnc", "spice"):
        assert trace not in text


def test_every_path_in_it_is_the_rehearsals_own(made: ElementTree.Element) -> None:
    """Attributes and texts that begin with a slash: the overlays, the sockets, the console, the
    variables' copy, the firmware (which is only read), and the source of randomness."""
    values = [value for element in made.iter() for value in element.attrib.values()]
    values += [(element.text or "").strip() for element in made.iter()]
    assert {value for value in values if value.startswith("/")} == {
        *(image.overlay for image in IMAGES),
        *(image.socket for image in IMAGES),
        DOMAIN.console,
        DOMAIN.nvram,
        "/usr/share/OVMF/OVMF_CODE_4M.fd",
        "/usr/share/OVMF/OVMF_VARS_4M.fd",
        "/dev/urandom",
    }


def test_a_disk_is_an_overlay_over_what_is_exported(made: ElementTree.Element) -> None:
    disks = made.findall("devices/disk")
    assert [disk.find("target").get("dev") for disk in disks] == ["vda", "sda"]  # type: ignore[union-attr]
    first, second = disks
    assert first.get("device") == second.get("device") == "disk"
    assert [child.tag for child in first] == [
        "driver",
        "source",
        "backingStore",
        "target",
        "address",
        "boot",
        "serial",
    ]
    below = first.find("backingStore")
    assert below is not None
    assert below.get("type") == "network"
    source = below.find("source")
    assert source is not None
    assert dict(source.attrib) == {"protocol": "nbd", "name": "vda"}
    assert below.find("backingStore") is not None  # libvirt need not look for more
    assert first.findtext("serial") == "labpanel-vda"
    assert second.findtext("serial") == "WD-1"


def test_it_is_nobody_and_takes_what_it_is_given(made: ElementTree.Element) -> None:
    assert made.findtext("name") == DOMAIN.name
    assert made.findtext("uuid") == DOMAIN.uuid
    assert made.findtext("memory") == str(512 << 10)
    assert made.findtext("vcpu") == "1"
    assert made.findtext("sysinfo/system/entry") == DOMAIN.uuid
    assert made.find("cpu/topology") is made.find("cpu/numa") is None
    assert made.findtext("on_poweroff") == made.findtext("on_crash") == "destroy"
    assert "1111" not in ElementTree.tostring(made, encoding="unicode")


def test_without_kvm_it_is_emulated_with_a_cpu_that_can_be() -> None:
    domain = RehearsalDomain(
        DOMAIN.name, DOMAIN.uuid, 12, 1 << 30, 1, kvm=False, console="/x", nvram="/v"
    )
    made = parsed(domain)
    assert made.get("type") == "qemu"
    assert made.find("cpu") is None


UEFI = "<domain><os{auto}><type>hvm</type>{more}</os><devices/></domain>"


@pytest.mark.parametrize(
    ("auto", "more", "template"),
    [
        ("", "<loader type='pflash'>/f</loader><nvram template='/t'>/old</nvram>", "/t"),
        ("", "<nvram type='file'><source file='/old'/></nvram>", None),
        (" firmware='efi'", "", None),
    ],
)
def test_variables_are_kept_where_they_go_with_the_rehearsal(
    auto: str, more: str, template: str | None
) -> None:
    """libvirt makes a file of its own for them otherwise, and leaves it."""
    xml = rehearsal_xml.rehearsal(UEFI.format(auto=auto, more=more), DOMAIN, [])
    variables = ElementTree.fromstring(xml).find("os/nvram")  # noqa: S314 - ours
    assert variables is not None
    assert (variables.text, variables.get("template")) == (DOMAIN.nvram, template)
    assert list(variables) == []


def test_a_bios_has_no_variables() -> None:
    assert "nvram" not in rehearsal_xml.rehearsal(UEFI.format(auto="", more=""), DOMAIN, [])


def test_what_is_left_out_is_said() -> None:
    assert rehearsal_xml.left_out(FULL, ["vda", "sda"]) == (
        "2 network cards",
        "1 device of its host",
        "1 folder of its host",
        "1 shared memory",
        "1 redirected USB device",
        "1 TPM",
        "1 socket to its host",
        "1 smart card",
        "the disk vdz",
    )


def test_what_the_vm_had() -> None:
    assert rehearsal_xml.data_disks(FULL) == ("vda", "sda", "vdz")
    assert rehearsal_xml.serials(FULL)["sda"] == "WD-1"
    assert rehearsal_xml.has_agent(FULL)
    assert not rehearsal_xml.has_agent("<domain><devices/></domain>")
    assert rehearsal_xml.host_files(FULL) == {
        "/usr/share/OVMF/OVMF_CODE_4M.fd",
        "/usr/share/OVMF/OVMF_VARS_4M.fd",
    }
    assert rehearsal_xml.boot_files(FULL) == {}


def test_a_direct_boot_starts_the_kept_copies_and_nothing_of_the_host() -> None:
    os = (
        "<os><type arch='x86_64'>hvm</type><kernel>/boot/k</kernel><initrd>/boot/i</initrd>"
        "<cmdline>root=/dev/vda ro</cmdline><init>/sbin/init</init></os>"
    )
    xml = f"<domain type='kvm'>{os}<devices/></domain>"
    assert rehearsal_xml.boot_files(xml) == {"kernel": "/boot/k", "initrd": "/boot/i"}
    domain = dataclasses.replace(DOMAIN, boot={"kernel": "/scratch/kernel", "initrd": "/scratch/i"})
    made = rehearsal_xml.rehearsal(xml, domain, ())
    assert "<kernel>/scratch/kernel</kernel><initrd>/scratch/i</initrd>" in made
    assert "<cmdline>root=/dev/vda ro</cmdline>" in made
    assert not {"/boot/k", "/boot/i", "/sbin/init"} & set(re.split("[<>]", made))
    assert {"/scratch/kernel", "/scratch/i"} <= set(rehearsal_xml.ours(domain, ()))


def test_only_a_rehearsal_is_one() -> None:
    made = rehearsal_xml.rehearsal(FULL, DOMAIN, IMAGES)
    assert rehearsal_xml.is_rehearsal(rehearsal_xml.marked(made, DOMAIN))
    assert not rehearsal_xml.is_rehearsal(made)
    assert not rehearsal_xml.is_rehearsal(FULL)
    named = f"<domain><name>labpanel-rehearsal-1 {rehearsal_xml.MARK}</name></domain>"
    assert not rehearsal_xml.is_rehearsal(named)


def test_a_disk_that_is_only_read_is_left_out_and_not_missed() -> None:
    lent = "<disk type='file' device='disk'><target dev='vdr'/><readonly/></disk>"
    xml = f"<domain type='kvm'><devices>{lent}</devices></domain>"
    assert rehearsal_xml.serials(xml) == {}
    assert rehearsal_xml.data_disks(xml) == ()
    assert rehearsal_xml.left_out(xml, []) == ("the disk vdr",)
    assert "vdr" not in rehearsal_xml.rehearsal(xml, DOMAIN, ())
