"""What a look over SSH leaves behind: file systems, drives, what is missing, and failing."""

from hosts.models import FileSystem, PhysicalDisk
from hosts.selectors.lists import host_list
from labpanel.adapters.errors import Missing, Unreachable
from tests.fakes import host_facts as made
from tests.services.looked import LATER, NOW, Ground


def test_file_systems_know_the_drives_below_them(ground: Ground) -> None:
    host = ground.look(ground.alpha)
    assert (host.kernel, host.cpu_count, host.seen_at) == ("6.12.1", 8, NOW)
    images = FileSystem.objects.get(host=host, mount_point="/srv/images")
    assert [node["type"] for node in images.block_chain] == ["lvm", "partition", "drive"]
    assert [drive.serial for drive in images.drives.all()] == ["S-sdb"]


def test_a_drive_is_known_by_what_it_is_not_by_its_port(ground: Ground) -> None:
    ground.look(ground.alpha)
    old = PhysicalDisk.objects.get(device="/dev/sdb")
    moved = made.drive("sda", serial="S-sdb", wwn="0x5000sdb")
    ground.machine.said = made.said(drives=[moved], mounts=[made.mount("/", "sda1", "sda")])
    ground.look(ground.alpha, LATER)
    old.refresh_from_db()
    assert (old.device, old.missing_since) == ("/dev/sda", None)
    gone = PhysicalDisk.objects.get(serial="S-sda")
    assert gone.missing_since == LATER


def test_a_file_system_that_is_not_mounted_any_more_is_missing(ground: Ground) -> None:
    ground.look(ground.alpha)
    ground.machine.said = made.said(mounts=[made.mount("/", "sda1", "sda")])
    ground.look(ground.alpha, LATER)
    assert FileSystem.objects.get(mount_point="/srv/images").missing_since == LATER
    ground.machine.said = made.said()
    ground.look(ground.alpha, LATER)
    assert FileSystem.objects.get(mount_point="/srv/images").missing_since is None


def test_a_file_system_that_hangs_keeps_its_last_numbers(ground: Ground) -> None:
    ground.look(ground.alpha)
    ground.machine.said = made.said(mounts=[made.mount("/", "sda1", "sda", space=None)])
    ground.look(ground.alpha, LATER)
    root = FileSystem.objects.get(mount_point="/")
    assert (root.size_bytes, root.seen_at) == (2**40, LATER)


def test_a_look_that_fails_keeps_the_last_state_until_it_works_again(
    ground: Ground, topics: list[str]
) -> None:
    ground.look(ground.alpha)
    ground.machine.fails = Unreachable("alpha does not answer.")
    ground.look(ground.alpha, LATER)
    row = host_list(LATER)[0]
    assert (row.state, row.since, row.reason) == ("unknown", NOW, "alpha does not answer.")
    assert FileSystem.objects.filter(missing_since=None).count() == 2
    topics.clear()
    ground.look(ground.alpha, LATER)
    assert topics == []
    ground.machine.fails = None
    ground.look(ground.alpha, LATER)
    assert (host_list(LATER)[0].state, topics) == ("up", ["inventory"])


def test_what_is_missing_comes_with_its_command(ground: Ground) -> None:
    lacking = made.tools(
        libvirt_daemon="", libvirt_socket="", smartctl="", nbd=False, guestfs=False, user="olga"
    )
    ground.machine.said = made.said(tools=lacking)
    ground.libvirt.fails["inventory"] = Unreachable("libvirt cannot be opened: No such file")
    host = ground.look(ground.alpha)
    assert [lack["command"] for lack in host.missing] == [
        "sudo apt install libvirt-daemon-system",
        "sudo apt install python3-libnbd",
        "sudo apt install smartmontools",
        "sudo apt install python3-guestfs",
    ]
    assert host.libvirt_error == (
        "alpha has no libvirt. Install it there: sudo apt install libvirt-daemon-system."
    )


def test_a_libvirt_that_was_not_started_is_told_from_one_that_is_missing(ground: Ground) -> None:
    ground.machine.said = made.said(tools=made.tools(libvirt_socket=""))
    ground.libvirt.fails["inventory"] = Unreachable("libvirt cannot be opened: No such file")
    host = ground.look(ground.alpha)
    assert [lack["what"] for lack in host.missing] == ["a running libvirt"]
    assert host.libvirt_error == (
        "libvirt does not run on alpha. Start it there: systemctl enable --now libvirtd."
    )


def test_a_machine_without_python_is_told_so_and_its_libvirt_still_seen(ground: Ground) -> None:
    ground.machine.fails = Missing("alpha has no Python 3.")
    host = ground.look(ground.alpha)
    assert host.missing[0]["command"] == "apt install python3"
    assert (host.error, host.libvirt_seen_at) == ("alpha has no Python 3.", NOW)
