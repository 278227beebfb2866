"""Full backup of a disk of mixed data beside `qemu-img convert -c` over the same hops.

On a practice lab of its own: the disk lies on alpha, the store once on beta (two SSH connections
meet at the panel) and once on the panel's machine (one). Both ways read the disk through a
read-only qemu-nbd on alpha and end in a zstd qcow2 on the store's machine; they take turns, and the
medians are compared. Ours is the whole job, with its digests, hashes, checks and syncs.
"""

import argparse
import contextlib
import logging
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from django.core.management import call_command
from django.utils import timezone

from backups.models import Store
from backups.services.add_store import add_store
from backups.services.back_up import ask_for_backup, back_up
from hosts.models import VM, Host
from lab.state import Lab
from labpanel.adapters.hypervisor import pool
from labpanel.adapters.image_host import ImageHost
from labpanel.adapters.machine import PYTHON, Machine
from labpanel.adapters.nbd_relay import private_machine, relayed
from labpanel.adapters.ssh import key_file, public_key
from labpanel.jobs import work
from labpanel.jobs.models import Job
from labpanel.jobs.states import State
from labpanel.lib.shapes import PANEL, Endpoint

SCRATCH = True
ROUNDS = 3
BAR = 1.0
SIZE_MIB = 1536
IMAGE = "/srv/images/bench.raw"
_VM = """<domain type='qemu'><name>bench</name><memory unit='MiB'>64</memory>
<os><type arch='x86_64'>hvm</type></os><devices><disk type='file' device='disk'>
<driver name='qemu' type='raw'/><source file='{image}'/><target dev='vda' bus='virtio'/>
</disk></devices></domain>"""
# A third each of random bytes, of log lines, and of zeros, in turns of 16 MiB.
_FILL = """
import os, random, sys
path, turns = sys.argv[1], int(sys.argv[2])
def line():
    return (f"Nov 22 {random.randrange(24):02}:{random.randrange(60):02}:{random.randrange(60):02} "
        f"home dnsmasq[{random.randrange(400, 900)}]: query[A] {random.randrange(1 << 32):08x}."
        f"example from 10.77.0.{random.randrange(255)}\\n").encode()
with open(path, "wb") as file:
    for turn in range(turns):
        file.write(os.urandom(16 << 20))
        lines = b"".join(line() for _ in range(20_000))
        file.write((lines * 16)[:16 << 20])
        file.seek(16 << 20, 1)
    file.truncate(turns * 48 << 20)
    os.fsync(file.fileno())
"""


def run(options: argparse.Namespace) -> int:
    """0 if our backup is not slower, over one hop and over two."""
    call_command("migrate", verbosity=0)
    # Jobs are done right here; that no worker can be told of them is no news.
    logging.getLogger("labpanel.jobs.ledger").setLevel(logging.ERROR)
    lab = Lab.load(f"bench{os.getpid()}")
    lab.up()
    try:
        return measure(lab)
    finally:
        pool.close()
        lab.down()


def measure(lab: Lab) -> int:
    vm, beta = prepare(lab)
    with tempfile.TemporaryDirectory(prefix="labpanel-bench-store-") as folder:
        cases = {
            "two hops": (add_store("far", beta, "/srv/store"), beta.endpoint()),
            "one hop": (add_store("near", None, folder), PANEL),
        }
        slow = [
            name
            for name, (store, there) in cases.items()
            if compare(name, vm, store, there, store.path) > BAR
        ]
    return 1 if slow else 0


def prepare(lab: Lab) -> tuple[VM, Host]:
    """The two hosts as rows, and a shut-off VM with the disk on alpha."""
    public_key()
    lab.authorize(key_file().with_suffix(".pub"))
    hosts = {name: _host(lab, name) for name in ("alpha", "beta")}
    machine = Machine(hosts["alpha"].endpoint())
    for guest in ("home", "web"):  # their load is not what is measured
        machine.run(["virsh", "destroy", guest], deadline=30, ok=None)
    turns = str(SIZE_MIB // 48)
    machine.run([PYTHON, "-c", _FILL, IMAGE, turns], deadline=300)
    found = pool.call(hosts["alpha"].endpoint(), "define", deadline=60, xml=_VM.format(image=IMAGE))
    now = timezone.now()
    vm = VM.objects.create(
        uuid=found["uuid"], name="bench", host=hosts["alpha"], first_seen_at=now, seen_at=now
    )
    return vm, hosts["beta"]


def _host(lab: Lab, name: str) -> Host:
    host = lab.hosts[name]
    key = (host.layout.state_dir / "ssh_host_ed25519_key.pub").read_text("ascii")
    return Host.objects.create(
        name=name, target=f"root@{host.address}", host_key=" ".join(key.split()[:2])
    )


def compare(name: str, vm: VM, store: Store, there: Endpoint, folder: str) -> float:
    """Print both medians and their ratio (ours by theirs), which is returned."""
    ours, theirs = [], []
    for _ in range(ROUNDS):
        ours.append(_timed_backup(vm, store))
        theirs.append(_timed_convert(vm, there, f"{folder}/convert.qcow2"))
    ratio = statistics.median(ours) / statistics.median(theirs)
    print(  # noqa: T201
        f"{name}: {SIZE_MIB} MiB, backup {statistics.median(ours):.2f} s, "
        f"qemu-img convert {statistics.median(theirs):.2f} s, ratio {ratio:.2f} (bar {BAR:.2f})",
        flush=True,
    )
    return ratio


def _timed_backup(vm: VM, store: Store) -> float:
    job = ask_for_backup(vm, store)
    began = time.monotonic()
    work.perform(job.pk, back_up)
    took = time.monotonic() - began
    ended = Job.objects.get(pk=job.pk)
    if ended.state != State.DONE:
        raise RuntimeError(f"the backup to be measured failed: {ended.sentence} {ended.detail}")
    return took


def _timed_convert(vm: VM, there: Endpoint, path: str) -> float:
    """The same disk over the same hops by qemu-img, on connections of its own likewise."""
    began = time.monotonic()
    with _forwarded(vm.host.endpoint(), there) as (machine, socket):
        machine.run(
            [
                *("qemu-img", "convert", "-c", "-W", "-m", "8", "-O", "qcow2"),
                *("-o", "compression_type=zstd", f"nbd+unix:///vda?socket={socket}", path),
            ],
            deadline=600,
        )
        took = time.monotonic() - began
        machine.run(["rm", "-f", "--", path], deadline=30)
    return took


@contextlib.contextmanager
def _forwarded(source: Endpoint, there: Endpoint) -> Iterator[tuple[Machine, str]]:
    with (
        private_machine(source, "bench") as origin,
        private_machine(there, "bench") as machine,
        ImageHost(origin) as images,
        ImageHost(machine) as place,
    ):
        socket = images.serve("vda", IMAGE, "raw", writable=False)
        with relayed(origin, machine, socket, place.sockets()) as near:
            yield machine, str(Path(near))
