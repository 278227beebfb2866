"""What else copies disks, at the same work: qemu-img, nbdcopy, virtnbdbackup."""

import contextlib
from collections.abc import Callable, Iterator

from backups.models import Generation, Store
from hosts.models import VM
from lab.bench.backup_lab import FOLDER, BenchLab
from labpanel.adapters.images.image_host import ImageHost
from labpanel.adapters.ssh.machine import Machine
from labpanel.adapters.ssh.nbd_relay import private_machine, relayed

_OUT = f"{FOLDER}/virtnbdbackup"
_LONG = 900


@contextlib.contextmanager
def served(bench_lab: BenchLab, vm: VM, there: Machine) -> Iterator[str]:
    """The raw disk of a shut-off VM, readable on another machine over the same hops as ours, on
    SSH connections of their own likewise; the socket's path there."""
    with (
        private_machine(bench_lab.alpha.endpoint(), "bench") as origin,
        ImageHost(origin) as images,
        ImageHost(there) as place,
    ):
        socket = images.serve("vda", f"{FOLDER}/{vm.name}.raw", "raw", writable=False)
        with relayed(origin, there, socket, place.sockets()) as near:
            yield near


def convert(bench_lab: BenchLab, vm: VM, store: Store) -> Callable[[], None]:
    """`qemu-img convert -c` on the store's machine, of a disk served by alpha."""

    def do() -> None:
        path = f"{store.path}/convert.qcow2"
        with (
            private_machine(store.endpoint(), "bench") as there,
            served(bench_lab, vm, there) as socket,
        ):
            words = ["qemu-img", "convert", "-c", "-W", "-m", "8", "-O", "qcow2"]
            words += ["-o", "compression_type=zstd", f"nbd+unix:///vda?socket={socket}", path]
            there.run(words, deadline=_LONG)
        Machine(store.endpoint()).run(["rm", "-f", "--", path], deadline=30)

    return do


@contextlib.contextmanager
def nbdcopy(bench_lab: BenchLab, vm: VM) -> Iterator[Callable[[], object]]:
    """Reading the disk on alpha, and nothing else."""
    with ImageHost(bench_lab.source) as images:
        socket = images.serve("vda", f"{FOLDER}/{vm.name}.raw", "raw", writable=False)
        words = ["nbdcopy", "--", f"nbd+unix:///vda?socket={socket}", "null:"]
        yield lambda: bench_lab.source.run(words, deadline=_LONG)
        images.stop(socket)


@contextlib.contextmanager
def kept(store: Store, generation: Generation) -> Iterator[tuple[Machine, str]]:
    """A generation's disk, readable on the store's machine through its chain: the machine, and the
    socket's path there."""
    path = f"{store.path}/{generation.vm_uuid}/{generation.key}/vda.qcow2"
    with private_machine(store.endpoint(), "bench") as there, ImageHost(there) as images:
        socket = images.serve("vda", path, "qcow2", writable=False)
        yield there, socket
        images.stop(socket)


def read_through(store: Store, generation: Generation) -> Callable[[], None]:
    """Reading a generation's disk through its chain by `nbdcopy`, where it lies: no digests."""

    def do() -> None:
        with kept(store, generation) as (there, socket):
            words = ["nbdcopy", "--", f"nbd+unix:///vda?socket={socket}", "null:"]
            there.run(words, deadline=_LONG)

    return do


def convert_back(bench_lab: BenchLab, store: Store, generation: Generation) -> Callable[[], None]:
    """`qemu-img convert` on alpha, of a generation's disk over the same hops."""

    def do() -> None:
        path = f"{FOLDER}/convert.raw"
        with (
            kept(store, generation) as (there, socket),
            private_machine(bench_lab.alpha.endpoint(), "bench") as here,
            ImageHost(here) as images,
            relayed(there, here, socket, images.sockets()) as near,
        ):
            words = ["qemu-img", "convert", "-W", "-m", "8", "-O", "raw"]
            here.run([*words, f"nbd+unix:///vda?socket={near}", path], deadline=_LONG)
        bench_lab.source.run(["rm", "-f", "--", path], deadline=30)

    return do


def virtnbdbackup(bench_lab: BenchLab, vm: VM, level: str) -> Callable[[], None]:
    """A backup of the running VM into a folder on alpha itself: no network, no digests."""

    def do() -> None:
        words = ["virtnbdbackup", "-d", vm.name, "-l", level, "-o", _OUT]
        bench_lab.source.run(words, deadline=_LONG)

    return do


def forget_virtnbdbackup(bench_lab: BenchLab, vm: VM) -> None:
    """Its folder and its checkpoint, for a full backup anew."""
    bench_lab.source.run(["rm", "-rf", _OUT], deadline=60)
    listed = bench_lab.source.run(
        ["virsh", "-q", "checkpoint-list", vm.name, "--name"], deadline=30
    )
    for name in listed.text.split():
        if name.startswith("virtnbdbackup"):
            bench_lab.source.run(
                ["virsh", "checkpoint-delete", vm.name, name], deadline=60, ok=None
            )


def has_virtnbdbackup(bench_lab: BenchLab) -> bool:
    """Whether the machine of the lab has it (Debian's package virtnbdbackup)."""
    found = bench_lab.source.run(["sh", "-c", "command -v virtnbdbackup"], deadline=30, ok=None)
    return found.status == 0
