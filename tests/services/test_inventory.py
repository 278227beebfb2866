"""VMs and virtual disks over time: coming, going, moving, and a libvirt that fails."""

from datetime import datetime

import pytest
from django.utils import timezone

from backups.selectors.coverage.coverage import coverage
from hosts.models import VM, VirtualDisk
from hosts.selectors.lists import vm_list
from hosts.services.inventory import disks as inventory_disks
from hosts.services.inventory.inventory import take_inventory
from hosts.services.vms.forget_vm import forget
from labpanel.adapters.errors import TimedOut, Unreachable
from labpanel.adapters.images import qemu_img
from labpanel.adapters.images.qemu_img import ImageInfo
from labpanel.adapters.libvirt.xml.rehearsal_xml import MARK
from labpanel.lib.refusal import Refusal
from tests.services.looked import HOME, LATER, NOW, WEB, Ground

ODD = '../evil <b>\'"$(reboot)" 家のサーバー'


def test_a_first_look_writes_vms_disks_and_where_they_lie(ground: Ground) -> None:
    ground.libvirt.put("alpha", HOME, ODD, disks={"vda": "/srv/images/a.qcow2", "vdb": "/b.raw"})
    ground.look(ground.alpha)
    vm = VM.objects.get(uuid=HOME)
    assert (vm.name, vm.state, vm.vcpus, vm.memory_bytes) == (ODD, "running", 2, 2**28)
    vda, vdb = vm.disks.all()
    assert vda.file_system is not None
    assert (vda.format, vda.file_system.mount_point) == ("qcow2", "/srv/images")
    assert [drive.device for drive in vda.file_system.drives.all()] == ["/dev/sdb"]
    assert vdb.file_system is not None
    assert (vdb.format, vdb.file_system.mount_point) == ("raw", "/")


LUKS = "<encryption format='luks'><secret type='passphrase' uuid='u'/></encryption>"
SLICE = "<slices><slice type='storage' offset='1048576' size='4194304'/></slices>"


@pytest.mark.parametrize(
    ("inside", "said"),
    [
        (LUKS, "vda of home is encrypted, and QEMU has its key"),
        (SLICE, "vda of home is a part of a larger file (slices)"),
    ],
)
def test_coverage_says_why_a_disk_cannot_be_backed_up(
    ground: Ground, inside: str, said: str
) -> None:
    ground.libvirt.put("alpha", HOME, "home", disks={"vda": "/srv/a.raw", "vdb": "/b.raw"})
    domain = ground.libvirt.hosts["alpha"][0]
    for name in ("xml", "inactive_xml"):
        head, source, tail = domain[name].partition("</disk>")
        domain[name] = f"{head}{inside}{source}{tail}"
    ground.look(ground.alpha)
    reasons = {row.disk: (row.verdict, row.reason) for row in coverage(NOW)}
    assert reasons["vda"][0] == "none"
    assert said in reasons["vda"][1]
    assert reasons["vdb"] == (
        "none",
        "There is no backup of this disk, and no policy asks for one.",
    )


def test_a_rehearsal_of_the_panels_own_is_no_vm(ground: Ground) -> None:
    """Nor is it missing afterwards. What its owner named so is one."""
    ground.libvirt.put("alpha", HOME, "labpanel-rehearsal-1")
    ground.libvirt.put("alpha", WEB, "labpanel-rehearsal-2-ab12")
    mark = f'<metadata><l:rehearsal xmlns:l="{MARK}" job="2"/></metadata>'
    passing = ground.libvirt.hosts["alpha"][1]
    xml = passing["xml"].replace("<devices>", f"{mark}<devices>")
    passing.update(persistent=False, inactive_xml="", xml=xml)
    ground.look(ground.alpha)
    assert [vm.name for vm in VM.objects.all()] == ["labpanel-rehearsal-1"]


def test_only_a_change_is_told(ground: Ground, topics: list[str]) -> None:
    ground.libvirt.put("alpha", HOME, "home", disks={"vda": "/srv/images/a.qcow2"})
    ground.look(ground.alpha)
    topics.clear()
    ground.look(ground.alpha, LATER)
    assert topics == []
    ground.libvirt.put("alpha", HOME, "home", "paused", disks={"vda": "/srv/images/a.qcow2"})
    ground.look(ground.alpha, LATER)
    assert topics == ["inventory"]
    assert VM.objects.get().seen_at == LATER


def test_a_disk_of_a_running_vm_comes_and_goes(ground: Ground) -> None:
    before = {"vda": "/srv/images/a.qcow2"}
    ground.libvirt.put("alpha", HOME, "home", disks=before)
    ground.look(ground.alpha)
    more = before | {"vdb": "/srv/images/b.qcow2"}
    ground.libvirt.put("alpha", HOME, "home", disks=more, lasting=before)
    ground.look(ground.alpha, LATER)
    vdb = VirtualDisk.objects.get(target="vdb")
    assert (vdb.live, vdb.persistent, vdb.missing_since) == (True, False, None)
    ground.libvirt.put("alpha", HOME, "home", disks=before, lasting=more)
    ground.look(ground.alpha, LATER)
    vdb.refresh_from_db()
    assert (vdb.live, vdb.persistent) == (False, True)
    ground.libvirt.put("alpha", HOME, "home", disks=before)
    ground.look(ground.alpha, LATER)
    vdb.refresh_from_db()
    assert vdb.missing_since == LATER
    assert [disk.target for disk in vm_list(LATER)[0].disks] == ["vda"]


def test_another_image_under_an_old_target_is_a_new_disk(ground: Ground) -> None:
    def plug(source: str, below: str = "") -> None:
        ground.libvirt.put("alpha", HOME, "home", disks={"vdb": source})
        report = ground.libvirt.hosts["alpha"][0]
        chain = f"<backingStore type='file'><source file='{below}'/></backingStore></disk>"
        report["xml"] = report["xml"].replace("</disk>", chain if below else "</disk>")

    def known_since() -> datetime:
        return VirtualDisk.objects.get().first_seen_at

    plug("/srv/images/a.qcow2")
    ground.look(ground.alpha)
    plug("/srv/images/a.snap", "/srv/images/a.qcow2")  # a snapshot on top: the same disk
    ground.look(ground.alpha, LATER)
    plug("/srv/images/a.qcow2")
    ground.look(ground.alpha, LATER)
    assert known_since() == NOW
    plug("/srv/images/b.qcow2")
    ground.look(ground.alpha, LATER)
    assert known_since() == LATER


def test_what_vanishes_is_missing_not_forgotten_and_may_come_back(ground: Ground) -> None:
    ground.libvirt.put("alpha", HOME, "home", disks={"vda": "/srv/images/a.qcow2"})
    ground.look(ground.alpha)
    ground.libvirt.take("alpha", HOME)
    ground.look(ground.alpha, LATER)
    row = vm_list(LATER)[0]
    assert (row.state, row.since, len(row.disks)) == ("missing", LATER, 1)
    ground.libvirt.put("alpha", HOME, "home", disks={"vda": "/srv/images/a.qcow2"})
    ground.look(ground.alpha, LATER)
    assert vm_list(LATER)[0].state == "running"


def test_only_what_is_missing_can_be_forgotten(ground: Ground) -> None:
    now = timezone.now()
    ground.libvirt.put("alpha", HOME, "home")
    ground.look(ground.alpha, now)
    with pytest.raises(Refusal, match="home is running on alpha"):
        forget(VM.objects.get())
    ground.libvirt.take("alpha", HOME)
    ground.look(ground.alpha, now)
    ground.machine.fails = Unreachable("alpha is gone.")
    ground.look(ground.alpha, now)
    with pytest.raises(Refusal, match="home is unknown on alpha"):
        forget(VM.objects.get())
    ground.machine.fails = None
    ground.look(ground.alpha, now)
    assert "forgets home" in forget(VM.objects.get())
    assert not VM.objects.exists()


def test_a_libvirt_that_hangs_leaves_the_last_state_and_is_told_apart(ground: Ground) -> None:
    ground.libvirt.put("alpha", HOME, "home")
    ground.look(ground.alpha)
    ground.libvirt.fails["inventory"] = TimedOut("libvirt on alpha gave no answer.")
    host = ground.look(ground.alpha, LATER)
    assert (host.failing_since, host.libvirt_failing_since) == (None, LATER)
    row = vm_list(LATER)[0]
    assert (row.state, row.last_state, row.since) == ("unknown", "running", NOW)
    assert row.reason == "libvirt on alpha gave no answer."
    ground.libvirt.fails.clear()
    host = ground.look(ground.alpha, LATER)
    assert (host.libvirt_failing_since, host.libvirt_error) == (None, "")
    assert vm_list(LATER)[0].state == "running"


def test_a_host_that_is_gone_is_not_asked_for_its_libvirt(ground: Ground) -> None:
    ground.libvirt.put("alpha", HOME, "home")
    ground.look(ground.alpha)
    ground.libvirt.asked.clear()
    ground.machine.fails = Unreachable("alpha does not answer over SSH.")
    host = ground.look(ground.alpha, LATER)
    assert ground.libvirt.asked == []
    assert (host.failing_since, host.error) == (LATER, "alpha does not answer over SSH.")
    assert vm_list(LATER)[0].state == "unknown"
    assert VM.objects.get().missing_since is None


def test_a_vm_that_was_moved_goes_with_the_host_that_has_it(ground: Ground) -> None:
    ground.libvirt.put("alpha", WEB, "web", disks={"vda": "/srv/images/w.qcow2"})
    ground.look(ground.alpha)
    ground.libvirt.put("beta", WEB, "web", "paused", disks={"vda": "/srv/images/w.qcow2"})
    ground.look(ground.beta)
    assert VM.objects.get().host == ground.alpha
    ground.libvirt.put("beta", WEB, "web", disks={"vda": "/srv/images/w.qcow2"})
    ground.libvirt.take("alpha", WEB)
    ground.look(ground.alpha, LATER)
    ground.look(ground.beta, LATER)
    vm = VM.objects.get()
    assert (vm.host, vm.state) == (ground.beta, "running")
    disk = vm.disks.get()
    assert disk.file_system is not None
    assert disk.file_system.host == ground.beta
    ground.look(ground.alpha, LATER)
    assert VM.objects.get().host == ground.beta


def test_an_image_reached_through_a_link_lies_where_the_link_leads(ground: Ground) -> None:
    ground.libvirt.put("alpha", HOME, "home", disks={"vda": "/var/lib/images/a.qcow2"})
    ground.look(ground.alpha)
    assert list(ground.machine.images[-1]) == []
    real = {"path": "/srv/images/a.qcow2", "exists": True}
    ground.machine.said["real_paths"] = {"/var/lib/images/a.qcow2": real}
    ground.look(ground.alpha, LATER)
    assert list(ground.machine.images[-1]) == ["/var/lib/images/a.qcow2"]
    disk = VirtualDisk.objects.get()
    assert disk.file_system is not None
    assert disk.file_system.mount_point == "/srv/images"


def test_images_of_a_vm_that_is_off_are_looked_at_once_in_a_while(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []

    def info(machine: object, path: str, fmt: str, *, deadline: float) -> ImageInfo:
        looked.append(path)
        return ImageInfo(10, 5, ("/srv/images/base.qcow2",))

    monkeypatch.setattr(qemu_img, "info", info)
    ground.libvirt.put("alpha", HOME, "home", "shut off", disks={"vda": "/srv/images/a.qcow2"})
    ground.look(ground.alpha)
    ground.look(ground.alpha, LATER)
    disk = VirtualDisk.objects.get()
    assert looked == ["/srv/images/a.qcow2"]
    assert (disk.capacity_bytes, disk.allocation_bytes) == (10, 5)
    assert disk.backing_chain == ["/srv/images/base.qcow2"]
    assert inventory_disks.LOOKS_AT_A_TURN > 1


@pytest.mark.parametrize("state", ["shut off", "running"])
def test_which_file_an_image_is_is_looked_at_once(
    ground: Ground, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    """A name that changes later is told by it; that of a snapshot on top is another file."""
    inodes = {"/srv/images/a.qcow2": 7811, "/srv/images/b.qcow2": 7811, "/srv/images/a.s1": 9}
    looked: list[str] = []

    def info(machine: object, path: str, fmt: str, *, deadline: float) -> ImageInfo:
        looked.append(path)
        return ImageInfo(10, 5, (), inodes[path])

    monkeypatch.setattr(qemu_img, "info", info)
    for path in inodes:
        ground.libvirt.put("alpha", HOME, "home", state, disks={"vda": path})
        for at in (NOW, LATER):
            ground.look(ground.alpha, at)
        assert VirtualDisk.objects.get().inode == str(inodes[path])
    assert looked == list(inodes)


def test_xml_that_makes_no_sense_loses_no_vm(ground: Ground) -> None:
    ground.libvirt.put("alpha", HOME, "home", disks={"vda": "/srv/images/a.qcow2"})
    ground.look(ground.alpha)
    ground.libvirt.hosts["alpha"][0]["xml"] = "<domain"
    ground.look(ground.alpha, LATER)
    vm = VM.objects.get()
    assert (vm.missing_since, vm.disks.get().missing_since) == (None, None)


def test_an_older_answer_that_comes_late_changes_nothing(ground: Ground) -> None:
    ground.libvirt.put("alpha", HOME, "home")
    ground.look(ground.alpha, LATER)
    ground.libvirt.put("alpha", HOME, "home", "shut off")
    take_inventory(ground.alpha, NOW)
    assert VM.objects.get().state == "running"


def test_a_qemu_that_hangs_hides_no_vm(ground: Ground) -> None:
    ground.libvirt.put("alpha", HOME, "home", disks={"vda": "/srv/images/a.qcow2"})
    ground.libvirt.fails["disk_sizes"] = TimedOut("libvirt on alpha gave no answer.")
    assert ground.look(ground.alpha).libvirt_failing_since is None
    assert vm_list(NOW)[0].state == "running"
