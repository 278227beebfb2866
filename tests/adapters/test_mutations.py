"""Damaged answers of hosts: never an exception past the parser, never more than the limits, and
what stands beside the damage comes through unharmed.

The number of mutations is LABPANEL_MUTATIONS (100000 is the full run).
"""

import json
import subprocess
import sys
from typing import Any

import pytest

from lab import smart_sample
from labpanel.adapters.answers import safe_json
from labpanel.adapters.answers.safe_json import UnsafeJson
from labpanel.adapters.drives import smart, smart_ask, smart_json
from labpanel.adapters.errors import AdapterError
from labpanel.adapters.images import qemu_img
from labpanel.adapters.libvirt import answers as libvirt_answers
from labpanel.adapters.libvirt.xml import domain_xml
from labpanel.adapters.looks import canary, host_facts, proc_text
from labpanel.adapters.rehearsal import guest_look
from labpanel.adapters.ssh.machine import Machine, Output
from labpanel.adapters.ssh.session import run_bundle
from labpanel.lib.closed import Odd
from labpanel.lib.drives import held
from labpanel.lib.shapes import PANEL
from tests.adapters.mutations import TOTAL, check_closed, texts, values
from tests.fakes import host_facts as made

HOME = "11111111-0000-4000-8000-000000000001"
WEB = "22222222-0000-4000-8000-000000000002"
XML = """<domain type='kvm' id='1'>
  <name>{name}</name><uuid>{uuid}</uuid>
  <memory unit='KiB'>262144</memory><vcpu current='2'>4</vcpu>
  <os><type arch='x86_64' machine='pc-q35-9.2'>hvm</type><nvram>/var/lib/vars.fd</nvram></os>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2' iothread='1'/><source file='/srv/images/a.qcow2'/>
      <backingStore type='file'><format type='qcow2'/><source file='/srv/images/base.qcow2'/>
        <backingStore/></backingStore>
      <target dev='vda' bus='virtio'/><serial>S1</serial>
    </disk>
    <disk type='network' device='disk'><source protocol='nbd' name='x'/><target dev='vdb'/></disk>
    <disk type='file' device='cdrom'><target dev='sda' bus='sata'/><readonly/></disk>
    <interface type='network'><mac address='52:54:00:aa:bb:cc'/><source network='default'/>
      <target dev='vnet3'/><model type='virtio'/></interface>
    <hostdev mode='subsystem' type='usb'/>
  </devices>
</domain>"""


def report(uuid: str, name: str) -> dict[str, Any]:
    xml = XML.format(uuid=uuid, name=name)
    return {
        "uuid": uuid,
        "name": name,
        "id": 1,
        "state": 1,
        "reason": 1,
        "rebooted": [1795820000.5],
        "persistent": True,
        "autostart": False,
        "xml": xml,
        "inactive_xml": xml,
    }


INVENTORY = [report(HOME, "home"), report(WEB, "web")]
STATS = {
    uuid: {
        "id": 1,
        "cpu.time": 10**12,
        "vcpu.current": 2,
        "vcpu.maximum": 2,
        "vcpu.0.state": 1,
        "vcpu.0.delay": 5,
        "block.count": 1,
        "block.0.name": "vda",
        "block.0.rd.bytes": 10,
        "net.count": 1,
        "net.0.name": "vnet3",
        "net.0.rx.bytes": 7,
    }
    for uuid in (HOME, WEB)
}
INFO = [
    {"virtual-size": 2**33, "actual-size": 2**30, "filename": "/a.qcow2", "format": "qcow2"},
    {"virtual-size": 2**33, "filename": "/base.qcow2", "format": "raw"},
]
GUEST = """disk vda 16777216 S1
mount /dev/vda1 ext4 /
fstab ext4 defaults /home
tree 12 1764000000 10 1763000000 /home
done
"""


@pytest.fixture(scope="module")
def facts() -> str:
    """What this very machine answers."""
    return run_bundle(Machine(PANEL), host_facts.PROGRAM, ["/etc/passwd"], deadline=30).text


@pytest.fixture(scope="module")
def health() -> str:
    asked = '{"folders": ["/tmp"]}'
    return run_bundle(Machine(PANEL), canary.PROGRAM, [asked], deadline=30).text


def share(part: float) -> int:
    return max(50, int(TOTAL * part / 2))


def test_facts_of_a_host(facts: str) -> None:
    check_closed(host_facts.read(json.loads(facts), "alpha"))
    for text in texts("facts", facts, share(0.15)):
        try:
            check_closed(host_facts.read(safe_json.parse(text), "alpha"))
        except (Odd, UnsafeJson):
            continue
    for value in values("facts", json.loads(facts), share(0.15)):
        try:
            check_closed(host_facts.read(value, "alpha"))
        except Odd:
            continue


def test_the_health_check(health: str) -> None:
    for text in texts("health", health, share(0.15)):
        try:
            check_closed(canary.read(safe_json.parse(text), "alpha"))
        except (Odd, UnsafeJson):
            continue
    for value in values("health", json.loads(health), share(0.15)):
        try:
            check_closed(canary.read(value, "alpha"))
        except Odd:
            continue


def test_proc() -> None:
    text = Machine(PANEL).run(proc_text.COMMAND, deadline=20, ok=None).text
    for damaged in texts("proc", text, 2 * share(0.15)):
        found = proc_text.parse(damaged)
        check_closed(found)
        assert all(value >= 0 for value in found.fields.values())


def test_domain_xml() -> None:
    for text in texts("xml", XML.format(uuid=HOME, name="home"), 2 * share(0.15)):
        try:
            check_closed(domain_xml.parse(text))
        except ValueError as odd:  # what it is told of a text that is not a domain
            assert len(str(odd)) < 300


def test_libvirt_s_inventory_and_numbers() -> None:
    for value in values("inventory", INVENTORY, share(0.15)):
        try:
            check_closed(libvirt_answers.reports(value, "alpha"))
        except Odd:
            continue
    for value in values("stats", STATS, share(0.1)):
        try:
            check_closed(libvirt_answers.stats(value))
        except Odd:
            continue
    for value in values("sizes", {HOME: {"vda": [1, 2], "vdb": [None, 3]}}, share(0.05)):
        try:
            check_closed(libvirt_answers.sizes(value))
            check_closed(libvirt_answers.versions(value))
        except Odd:
            continue


def test_qemu_img_and_the_guest(monkeypatch: pytest.MonkeyPatch) -> None:
    said = [""]

    def run(self: Machine, words: object, **_: object) -> Output:
        return Output(0, said[0].encode("utf-8", "replace"), b"")

    monkeypatch.setattr(Machine, "run", run)
    for text in texts("info", json.dumps(INFO), share(0.1)):
        said[0] = text
        try:
            check_closed(qemu_img.info(Machine(PANEL), "/a", "qcow2", deadline=1))
        except AdapterError:
            continue
    for value in values("info", INFO, share(0.1)):
        said[0] = json.dumps(value)
        try:
            check_closed(qemu_img.info(Machine(PANEL), "/a", "qcow2", deadline=1))
        except AdapterError:
            continue
    for text in texts("guest", GUEST, share(0.1)):
        check_closed(guest_look.parse_facts(text), longest=20_000)
        check_closed(guest_look.parse_trees(text), longest=200_000)


def test_smartctl(monkeypatch: pytest.MonkeyPatch) -> None:
    drive = smart_sample.SampleDrive("/dev/sda", "S1")
    text, told = smart_sample.text(drive), smart_sample.as_json(drive)
    for damaged in texts("smart", told, share(0.15)):
        check_closed(smart_json.parse(damaged, "/dev/sda", "sat", 0))
    for value in values("smart", json.loads(told), share(0.15)):
        check_closed(smart_json.parse(json.dumps(value), "/dev/sda", "sat", 0))
    said = [""]

    def run(self: Machine, words: object, **_: object) -> Output:
        return Output(0, said[0].encode("utf-8", "replace"), b"")

    monkeypatch.setattr(Machine, "run", run)
    for damaged in texts("pysmart", text, share(0.02)):
        said[0] = damaged
        found = smart._by_pysmart(Machine(PANEL), "/dev/sda", "sat")
        if found is not None:
            check_closed(found)
            assert held(found) == found
    for damaged in texts("scan", '{"devices": [{"name": "/dev/sda", "type": "sat"}]}', share(0.02)):
        said[0] = damaged
        for device, kind in smart_ask.scan(Machine(PANEL)):
            assert device.startswith("/dev/")
            assert ".." not in device
            assert not kind.startswith("-")


@pytest.mark.parametrize("kind", ["drives", "mounts"])
def test_a_damaged_drive_or_mount_leaves_its_neighbours_as_they_are(kind: str) -> None:
    whole = made.said()
    sound = host_facts.read(whole)
    for value in values(kind, whole[kind][0], share(0.05)):
        found = host_facts.read({**whole, kind: [value, *whole[kind][1:]]})
        assert getattr(found, kind)[-1] == getattr(sound, kind)[-1]
        other = "mounts" if kind == "drives" else "drives"
        assert getattr(found, other) == getattr(sound, other)
        assert len(getattr(found, kind)) == 2 or found.odd


def test_a_damaged_vm_or_disk_leaves_its_neighbours_as_they_are() -> None:
    sound = libvirt_answers.reports(INVENTORY, "alpha").domains[1]
    for value in values("vm", INVENTORY[0], share(0.1)):
        found = libvirt_answers.reports([value, INVENTORY[1]], "alpha")
        assert found.domains[-1] == sound
        assert len(found.domains) == 2 or found.odd
        assert len(found.domains) == 2 or not found.whole or HOME in found.unread
    xml = XML.format(uuid=HOME, name="home")
    disk = xml[xml.index("<disk type='network'") : xml.index("<disk type='file' device='cdrom'>")]
    sound_disks = domain_xml.parse(xml).disks
    for text in texts("disk", disk, share(0.1)):
        try:
            found_disks = domain_xml.parse(xml.replace(disk, text)).disks
        except ValueError:
            continue  # no XML any more: the whole VM is put aside
        assert found_disks[0] == sound_disks[0]


def test_a_process_that_reads_them_all_stays_small(facts: str) -> None:
    """The worst of them that fits into the limits, by the peak of a process (getrusage(2))."""
    program = """
import json, resource, sys
import django; django.setup()
from labpanel.adapters.looks import host_facts, proc_text
from labpanel.adapters.answers import safe_json, safe_xml
from labpanel.lib.closed import Odd
said = json.loads(sys.stdin.read())
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for text in ('[' + '[],' * 66_000 + '0]', '{"a":"\\U0001f600' + 'x' * 4_000_000 + '"}',
             json.dumps({**said, "mounts": said["mounts"] * 200})):
    try:
        host_facts.read(safe_json.parse(text))
    except (Odd, safe_json.UnsafeJson):
        pass
proc_text.parse("a\\n" * 500_000)
try:
    safe_xml.parse("<a>" + "<b c='d'/>" * 24_000 + "</a>")
except safe_xml.UnsafeXml:
    pass
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    words = [sys.executable, "-c", program]
    done = subprocess.run(words, input=facts, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 64 * 1024
