"""The bench_lab of the backups' measurement: a practice lab with two VMs on alpha.

`bench` is off and has a raw disk; `live` runs (its disk is not bootable, so it sits in the firmware
and writes nothing) and has a qcow2 disk, of which QEMU records what changes.
"""

import contextlib
import random
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from django.utils import timezone

from backups.models import Store
from backups.services.stores.add_store import add_store
from hosts.models import VM, Host
from lab.state import Lab
from labpanel.adapters.libvirt.hypervisor import pool
from labpanel.adapters.ssh.machine import PYTHON, Machine
from labpanel.adapters.ssh.openssh import key_file, public_key

FOLDER = "/srv/images"
WIDE = "/srv/wide"
PIECE = 256 * 1024
_VM = """<domain type='qemu'><name>{name}</name><memory unit='MiB'>64</memory>
<os><type arch='x86_64'>hvm</type></os><devices><disk type='file' device='disk'>
<driver name='qemu' type='{image_format}'/><source file='{image}'/><target dev='vda' bus='virtio'/>
<alias name='ua-vda'/></disk></devices></domain>"""
# A third each of random bytes, of log lines, and of zeros, in turns of 16 MiB.
_FILL = """
import os, random, sys
path, turns, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
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
    file.truncate(size)
    os.fsync(file.fileno())
"""


@dataclass(frozen=True, slots=True)
class BenchLab:
    """The lab's hosts as rows, and a shell on each."""

    lab: Lab
    alpha: Host
    beta: Host

    @property
    def source(self) -> Machine:
        return Machine(self.alpha.endpoint())

    def widen(self) -> None:
        """A folder on alpha in whose file system the scratch space of large disks finds room. Only
        what is written takes memory."""
        mount = f"mkdir -p {WIDE} && mount -t tmpfs -o size=200g none {WIDE}"
        self.source.run(["sh", "-c", mount], deadline=30)

    def vm(
        self, name: str, image_format: str, data_mib: int, size_mib: int, *, folder: str = FOLDER
    ) -> VM:
        """A VM on alpha with a new disk of `size_mib`, of which two thirds of `data_mib` are data;
        running if its disk is qcow2."""
        raw, path = f"{folder}/{name}.raw", f"{folder}/{name}.{image_format}"
        words = [PYTHON, "-c", _FILL, raw, str(data_mib // 48), str(size_mib << 20)]
        self.source.run(words, deadline=300)
        if image_format != "raw":
            self.source.run(["qemu-img", "convert", "-O", image_format, raw, path], deadline=300)
            self.source.run(["rm", raw], deadline=30)
        xml = _VM.format(name=name, image_format=image_format, image=path)
        libvirt = pool.of(self.alpha.endpoint())
        found = libvirt.define(xml)
        if image_format != "raw":
            libvirt.start(found.uuid)
        now = timezone.now()
        return VM.objects.create(
            uuid=UUID(found.uuid), name=name, host=self.alpha, first_seen_at=now, seen_at=now
        )

    def remove(self, vm: VM) -> None:
        """The VM and its disks."""
        for verb in ("destroy", "undefine"):
            words = ["virsh", "-q", verb, vm.name]
            words += ["--checkpoints-metadata"] if verb == "undefine" else []
            self.source.run(words, deadline=60, ok=None)
        paths = [
            f"{folder}/{vm.name}.{image_format}"
            for folder in (FOLDER, WIDE)
            for image_format in ("raw", "qcow2")
        ]
        self.source.run(["rm", "-f", "--", *paths], deadline=30)

    def change(self, vm: VM, mib: int, size_mib: int, seed: int) -> None:
        """Have the running VM's disk written in blocks all over it, as its guest would."""
        chance = random.Random(seed)  # noqa: S311 - what is written is not a secret
        for block in chance.sample(range(size_mib * 4), mib * 4):
            write = f'qemu-io -d ua-vda "write -P {chance.randrange(1, 256)} {block * PIECE} 256k"'
            words = ["virsh", "-q", "qemu-monitor-command", vm.name, "--hmp", write]
            self.source.run(words, deadline=30)

    def far(self, name: str) -> Store:
        """A new store on beta."""
        path = f"/srv/store/{name}"
        Machine(self.beta.endpoint()).run(["mkdir", "-p", path], deadline=30)
        return add_store(name, self.beta, path)

    def near(self, name: str, folder: str) -> Store:
        """A new store on the panel's machine."""
        path = Path(folder) / name
        path.mkdir()
        return add_store(name, None, str(path))

    def drop(self, store: Store) -> None:
        """A store's files; its rows go with the home of the measurement."""
        Machine(store.endpoint()).run(["rm", "-rf", "--", store.path], deadline=60)


def prepared(lab: Lab) -> BenchLab:
    """The lab's hosts made known to this panel, their guests off: their load is not measured."""
    public_key()
    lab.authorize(key_file().with_suffix(".pub"))
    bench_lab = BenchLab(lab, _host(lab, "alpha"), _host(lab, "beta"))
    for guest in ("home", "web"):
        with contextlib.suppress(Exception):  # one that is off already
            bench_lab.source.run(["virsh", "destroy", guest], deadline=30, ok=None)
    return bench_lab


def _host(lab: Lab, name: str) -> Host:
    host = lab.hosts[name]
    key = (host.layout.state_dir / "ssh_host_ed25519_key.pub").read_text("ascii")
    return Host.objects.create(
        name=name, target=f"root@{host.address}", host_key=" ".join(key.split()[:2])
    )
