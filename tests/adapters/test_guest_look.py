"""The programs that look around in a guest, run by this machine's shells, and what they say."""

import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from labpanel.adapters.errors import AdapterError, Refused
from labpanel.adapters.libvirt.uses.agent import AsksAgent, Ran, read_disks, read_mounts
from labpanel.adapters.rehearsal import guest_look
from labpanel.lib.guest import Guest, GuestDisk, GuestMount, Tree

UUID = "11111111-2222-4333-8444-555555555555"


class Agent(AsksAgent):
    """A guest agent whose guest is this machine; `shell` runs the programs."""

    def __init__(self, *shell: str) -> None:
        self.shell = shell

    def agent_answers(self, uuid: str, *, seconds: int) -> bool:
        raise AssertionError("it is not pinged")

    def agent_run(self, uuid: str, words: Sequence[str], *, seconds: int) -> Ran:
        done = subprocess.run(
            [*self.shell, *words[1:]], capture_output=True, text=True, timeout=60, check=False
        )
        return Ran(ended=True, status=done.returncode, out=done.stdout)

    def agent_mounts(self, uuid: str, *, seconds: int) -> tuple[GuestMount, ...]:
        raise AssertionError("its programs say it")

    def agent_disks(self, uuid: str, *, seconds: int) -> tuple[GuestDisk, ...]:
        raise AssertionError("its programs say it")


class NoPrograms(Agent):
    """An agent that may run none; it lists what it has, unless it is `silent`."""

    def __init__(self, why: str, *, silent: bool = False) -> None:
        super().__init__()
        self._no, self._silent = Refused(why), silent

    def agent_run(self, uuid: str, words: Sequence[str], *, seconds: int) -> Ran:
        raise self._no

    def agent_mounts(self, uuid: str, *, seconds: int) -> tuple[GuestMount, ...]:
        if self._silent:
            raise self._no
        return read_mounts(
            [{"name": "vda1", "mountpoint": "/", "type": "ext4", "disk": []}, "no file system"]
        )

    def agent_disks(self, uuid: str, *, seconds: int) -> tuple[GuestDisk, ...]:
        if self._silent:
            raise self._no
        return read_disks(
            [
                {"name": "/dev/vda", "partition": False, "address": {"serial": "labpanel-vda"}},
                {"name": "/dev/vda1", "partition": True},
            ]
        )


class Slow(Agent):
    def agent_run(self, uuid: str, words: Sequence[str], *, seconds: int) -> Ran:
        return Ran(ended=False, status=-1, out="")


@pytest.fixture(params=["sh", "bash", "busybox"])
def agent(request: pytest.FixtureRequest) -> Agent:
    shell = shutil.which(request.param)
    if shell is None:
        pytest.skip(f"not installed here: {request.param}")
    return Agent(shell, "sh") if request.param == "busybox" else Agent(shell)


def test_files_are_counted_and_dated(agent: Agent, tmp_path: Path) -> None:
    place = tmp_path / "with blanks and 日本語"
    (place / "deep/er").mkdir(parents=True)
    for name, when in (("a", 1_000_000_000), ("deep/er/b", 1_300_000_000), (".dot", 1_200_000_000)):
        (place / name).write_text("x")
        os.utime(place / name, (when, when))
    (place / "link").symlink_to("a")
    (tmp_path / "empty").mkdir()
    now = time.time()
    asked = [str(place), str(tmp_path / "empty"), str(tmp_path / "nowhere")]

    before = guest_look.trees(agent, UUID, asked, now=now, moment=now - 3600, seconds=20)
    after = guest_look.trees(agent, UUID, asked, now=now, moment=now + 3600, seconds=20)

    assert before[str(place)] == Tree(3, 1_300_000_000, 0, 0)  # ctime cannot be set back
    assert after[str(place)] == Tree(3, 1_300_000_000, 3, 1_300_000_000)
    assert after[str(tmp_path / "empty")] == Tree(0, 0, 0, 0)
    assert str(tmp_path / "nowhere") not in after


def test_a_guest_whose_clock_is_wrong_is_asked_by_its_own_clock(
    agent: Agent, tmp_path: Path
) -> None:
    """The panel's clock a day behind: its "half a day ago" is half a day to come for the guest."""
    (tmp_path / "a").write_text("x")
    behind = time.time() - 86400
    words = [str(tmp_path)]
    old = guest_look.trees(agent, UUID, words, now=behind, moment=behind + 60, seconds=20)
    new = guest_look.trees(agent, UUID, words, now=behind, moment=behind - 60, seconds=20)
    assert (old[str(tmp_path)].old, new[str(tmp_path)].old) == (1, 0)


def test_disks_and_mounts_of_this_very_machine(agent: Agent) -> None:
    guest = guest_look.look(agent, UUID, seconds=20)
    assert all(disk.bytes > 0 for disk in guest.disks)
    for mount in guest.mounts:
        assert mount.point.startswith("/")


TEXT = """\
disk vda 1048576 labpanel-vda
disk sda 1572864 WD WCC 1
disk sdc 0 x
disk vdb 2048
mount /dev/vda1 ext4 /
mount /dev/vdb ext4 /my\\040files
fstab ext4 defaults /
fstab ext4 noatime,nofail /maybe
fstab ext4 noauto /never
fstab swap sw none
fstab tmpfs defaults /tmp
fstab xfs defaults,_netdev /far
fstab none bind /bound
fstab xfs rw /srv\\040data
done
"""


def test_what_a_guest_says_is_read() -> None:
    assert guest_look.parse_facts(TEXT) == Guest(
        disks=(
            GuestDisk("vda", 512 << 20, "labpanel-vda"),
            GuestDisk("sda", 768 << 20, "WD WCC 1"),
            GuestDisk("vdb", 1 << 20, ""),
        ),
        mounts=(GuestMount("/", "/dev/vda1", "ext4"), GuestMount("/my files", "/dev/vdb", "ext4")),
        wanted=("/", "/srv data"),
    )


def test_each_file_system_is_counted_once_and_home_always() -> None:
    mounts = (
        GuestMount("/var/lib/docker/x", "/dev/vda1", "ext4"),
        GuestMount("/", "/dev/vda1", "ext4"),
        GuestMount("/srv", "/dev/vdb", "xfs"),
    )
    assert guest_look.places_of(Guest((), mounts)) == ("/", "/home", "/srv")


def test_an_agent_that_may_not_run_programs_lists_what_it_can() -> None:
    agent = NoPrograms("the command guest-exec has been disabled.")
    guest = guest_look.look(agent, UUID, seconds=5)
    assert guest.disks == (GuestDisk("/dev/vda", 0, "labpanel-vda"),)
    assert guest.points == {"/"}
    assert "guest-exec has been disabled" in guest.why_no_trees


def test_an_agent_that_says_nothing_at_all_is_an_error() -> None:
    agent = NoPrograms("the agent is not connected.", silent=True)
    with pytest.raises(Refused, match="not connected"):
        guest_look.look(agent, UUID, seconds=5)


def test_a_look_that_takes_too_long_is_an_error() -> None:
    with pytest.raises(AdapterError, match="had not finished after 5 s"):
        guest_look.trees(Slow(), UUID, ["/"], now=0, moment=0, seconds=5)
