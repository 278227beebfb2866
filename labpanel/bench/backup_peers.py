"""What else copies disks, at the same work: qemu-img, nbdcopy, virtnbdbackup."""

import contextlib
from collections.abc import Callable, Iterator

from backups.models import Store
from hosts.models import VM
from labpanel.adapters.image_host import ImageHost
from labpanel.adapters.machine import Machine
from labpanel.adapters.nbd_relay import private_machine, relayed
from labpanel.bench.backup_ground import FOLDER, Ground

_OUT = f"{FOLDER}/virtnbdbackup"
_LONG = 900


@contextlib.contextmanager
def served(ground: Ground, vm: VM, there: Machine) -> Iterator[str]:
    """The raw disk of a shut-off VM, readable on another machine over the same hops as ours, on
    SSH connections of their own likewise; the socket's path there."""
    with (
        private_machine(ground.alpha.endpoint(), "bench") as origin,
        ImageHost(origin) as images,
        ImageHost(there) as place,
    ):
        socket = images.serve("vda", f"{FOLDER}/{vm.name}.raw", "raw", writable=False)
        with relayed(origin, there, socket, place.sockets()) as near:
            yield near


def convert(ground: Ground, vm: VM, store: Store) -> Callable[[], None]:
    """`qemu-img convert -c` on the store's machine, of a disk served by alpha."""

    def do() -> None:
        path = f"{store.path}/convert.qcow2"
        with (
            private_machine(store.endpoint(), "bench") as there,
            served(ground, vm, there) as socket,
        ):
            words = ["qemu-img", "convert", "-c", "-W", "-m", "8", "-O", "qcow2"]
            words += ["-o", "compression_type=zstd", f"nbd+unix:///vda?socket={socket}", path]
            there.run(words, deadline=_LONG)
        Machine(store.endpoint()).run(["rm", "-f", "--", path], deadline=30)

    return do


@contextlib.contextmanager
def nbdcopy(ground: Ground, vm: VM) -> Iterator[Callable[[], object]]:
    """Reading the disk on alpha, and nothing else."""
    with ImageHost(ground.source) as images:
        socket = images.serve("vda", f"{FOLDER}/{vm.name}.raw", "raw", writable=False)
        words = ["nbdcopy", "--", f"nbd+unix:///vda?socket={socket}", "null:"]
        yield lambda: ground.source.run(words, deadline=_LONG)
        images.stop(socket)


def virtnbdbackup(ground: Ground, vm: VM, level: str) -> Callable[[], None]:
    """A backup of the running VM into a folder on alpha itself: no network, no digests."""

    def do() -> None:
        words = ["virtnbdbackup", "-d", vm.name, "-l", level, "-o", _OUT]
        ground.source.run(words, deadline=_LONG)

    return do


def forget_virtnbdbackup(ground: Ground, vm: VM) -> None:
    """Its folder and its checkpoint, for a full backup anew."""
    ground.source.run(["rm", "-rf", _OUT], deadline=60)
    listed = ground.source.run(["virsh", "-q", "checkpoint-list", vm.name, "--name"], deadline=30)
    for name in listed.text.split():
        if name.startswith("virtnbdbackup"):
            ground.source.run(["virsh", "checkpoint-delete", vm.name, name], deadline=60, ok=None)


def has_virtnbdbackup(ground: Ground) -> bool:
    """Whether the machine of the lab has it (Debian's package virtnbdbackup)."""
    found = ground.source.run(["sh", "-c", "command -v virtnbdbackup"], deadline=30, ok=None)
    return found.status == 0
