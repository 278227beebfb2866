"""A VM on alpha whose only disk lies on a small file system of its own, full of its own data."""

import contextlib
import time
from collections.abc import Iterator

from lab import agent, faults, hosts
from lab.commands import LabError
from lab.guestxml import Disk, Guest, domain_xml
from lab.state import Lab
from lab.virsh import define, inside, virsh

NAME = "cramped"
ROOM = "/srv/cramped"
_MIB = 500
DATA_MIB = 192
_PIECE_MIB = 16
_DATA, _SEED = "/data-of-the-guest", "/seed"


@contextlib.contextmanager
def made(lab: Lab) -> Iterator[None]:
    """web's system on an ext4 of 500 MiB, with a file of 192 MiB in the guest. Gone afterwards."""
    alpha = lab.layout.host("alpha")
    disk = Disk("vda", "qcow2", "../cramped/vda.qcow2")
    guest = Guest(NAME, octet=0, memory_mib=160, disks=(disk,), starts=True)
    prepare = (
        f"set -e; mkdir -p {ROOM}; truncate -s {_MIB}M /srv/images/cramped.ext4; "
        f"mkfs.ext4 -q -F -m 0 /srv/images/cramped.ext4; "
        f"mount -o loop /srv/images/cramped.ext4 {ROOM}; "
        f"qemu-img convert -U -O qcow2 /srv/images/web-vda.qcow2 {ROOM}/vda.qcow2"
    )
    try:
        inside(alpha, ["sh", "-c", prepare], timeout=120)
        define(alpha, domain_xml(lab.layout, guest).replace("/srv/images/../cramped", ROOM))
        start(lab)
        seed = f"dd if=/dev/urandom of={_SEED} bs=1M count={_PIECE_MIB}"
        pieces = f"for i in $(seq {DATA_MIB // _PIECE_MIB}); do cat {_SEED}; done > {_DATA}"
        run(lab, f"{seed} && {pieces} && sync", timeout=120)
        yield
    finally:
        virsh(alpha, "destroy", NAME, check=False)
        virsh(alpha, "undefine", NAME, "--checkpoints-metadata", check=False)
        remove = f"umount {ROOM}; rm -rf {ROOM} /srv/images/cramped.ext4"
        inside(alpha, ["sh", "-c", remove], check=False)


def start(lab: Lab) -> None:
    alpha = lab.layout.host("alpha")
    hosts.await_ready(alpha)
    if "running" not in virsh(alpha, "domstate", NAME):
        virsh(alpha, "start", NAME)
    agent.await_agent(alpha, NAME, timeout=120)


def run(lab: Lab, script: str, *, timeout: float = 60) -> str:
    """A shell script in the guest, to its end; fails as it does."""
    done = agent.run_in_guest(
        lab.layout.host("alpha"), NAME, ["/bin/sh", "-c", script], timeout=timeout
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.decode()


def answers(lab: Lab, test: str) -> bool:
    """Whether the guest's agent answers now and the test in the guest holds."""
    with contextlib.suppress(LabError, AssertionError):
        run(lab, test)
        return True
    return False


def boots(lab: Lab) -> int:
    """How often the guest has booted, by its console."""
    alpha = lab.layout.host("alpha")
    console = f"/var/log/libvirt/qemu/{virsh(alpha, 'domuuid', NAME).strip()}-console.log"
    return inside(alpha, ["cat", console]).stdout.count("booted after")


def overwrite(lab: Lab) -> None:
    """Begin to write all the guest's data anew, piece by piece, over and over; returns at once."""
    piece = f"dd if={_SEED} of={_DATA} bs=1M seek=$((i * {_PIECE_MIB})) conv=notrunc && sync"
    count = f"i=$(((i + 1) % {DATA_MIB // _PIECE_MIB}))"
    more = f"i=0; while [ ! -e /tmp/enough ]; do {piece} && echo x >> /tmp/pieces; {count}; done"
    run(lab, f"rm -f /tmp/enough /tmp/pieces; ({more}) >/dev/null 2>&1 &")


def goes_on(lab: Lab) -> None:
    """The writer goes on without an error; then it is ended."""
    before = _pieces(lab)
    until = time.monotonic() + 90
    while _pieces(lab) < before + 3:
        assert time.monotonic() < until, "the guest's writer stands still"
        time.sleep(1)
    run(lab, "touch /tmp/enough; sleep 1; ! dmesg | grep -iE 'I/O error|remount'")


def _pieces(lab: Lab) -> int:
    return len(run(lab, "cat /tmp/pieces 2>/dev/null || true").split())


def take_room(lab: Lab) -> None:
    """All but 40 MiB, which is below what a backup must leave free and gone within a moment."""
    faults.fill_folder(lab.layout.host("alpha"), ROOM, spare=40 << 20)


def give_room_back(lab: Lab) -> None:
    inside(lab.layout.host("alpha"), ["rm", "-f", f"{ROOM}/{faults.FILLER}"])


def scratch_files(lab: Lab) -> list[str]:
    return [
        name
        for name in inside(lab.layout.host("alpha"), ["ls", "-A", ROOM]).stdout.split()
        if name.startswith(".") and name != faults.FILLER
    ]
