"""Backups beside what else copies disks, on a practice lab of its own, taking turns.

The store lies once on beta (two SSH connections meet at the panel) and once on the panel's machine
(one). Ours is always the whole job: sessions, digests, hashes, checks, syncs and the ledger.
"""

import argparse
import logging
import os
import tempfile
from collections.abc import Callable

from django.core.management import call_command

from backups.models import Generation, GenerationDisk, Store
from backups.services.backup.back_up import ask_for_backup, back_up
from backups.services.proof.verify import ask_for_verify, verify
from backups.services.restore.ask_restore import RestoreRequest, ask_for_restore
from backups.services.restore.restore import restore
from hosts.models import VM
from lab.bench import backup_peers as peers
from lab.bench.backup_lab import WIDE, BenchLab, prepared
from lab.bench.backup_table import Table
from lab.bench.costs import Cost, Group, group
from lab.state import Lab
from labpanel.adapters.libvirt.hypervisor import pool
from labpanel.jobs import work
from labpanel.jobs.models import Job
from labpanel.jobs.states import State

ROUNDS = 3
SIZE_MIB = 1536
LIVE_MIB = 768
DATA_MIB = 192
SIZES_GIB = (4, 16, 64)


def run(options: argparse.Namespace) -> int:
    """0 if every bar is reached."""
    call_command("migrate", verbosity=0)
    # Jobs are done right here; there is no broker, so its warning is silenced.
    logging.getLogger("labpanel.jobs.ledger").setLevel(logging.ERROR)
    lab = Lab.load(f"bench{os.getpid()}")
    with group() as costs, tempfile.TemporaryDirectory(prefix="labpanel-bench-store-") as folder:
        lab.up()
        try:
            return Bench(prepared(lab), costs, folder).run()
        finally:
            pool.close()
            lab.down()


class Bench:
    """All measurements, one after the other; `folder` is for stores on the panel's machine."""

    def __init__(self, bench_lab: BenchLab, costs: Group, folder: str) -> None:
        self.bench_lab, self.costs, self.folder = bench_lab, costs, folder
        self.table = Table()
        self._stores = 0

    def run(self) -> int:
        self.full_and_unchanged()
        self.live()
        self.bench_lab.widen()
        for size in SIZES_GIB:
            self.growth(size)
        return self.table.end()

    def store(self, *, far: bool = True) -> Store:
        self._stores += 1
        name = f"s{self._stores}"
        return self.bench_lab.far(name) if far else self.bench_lab.near(name, self.folder)

    def full_and_unchanged(self) -> None:
        """A shut-off VM with a raw disk: a full, and reading it again without a hint."""
        vm = self.bench_lab.vm("bench", "raw", SIZE_MIB, SIZE_MIB)
        for far, hops in ((True, "two hops"), (False, "one hop")):
            ours, theirs = [], []
            for turn in range(ROUNDS):
                store = self.store(far=far)
                ours.append(self.backup(vm, store))
                theirs.append(self.costs.measured(peers.convert(self.bench_lab, vm, store)))
                if turn < ROUNDS - 1:
                    self.bench_lab.drop(store)
            what = f"full, {SIZE_MIB} MiB, {hops}"
            self.table.against(what, ours, "qemu-img convert -c", theirs, mib=SIZE_MIB, bar=1.0)
            if far:
                self.proofs(store)
                self.unchanged_without(vm, store)
            self.bench_lab.drop(store)
        self.bench_lab.remove(vm)

    def unchanged_without(self, vm: VM, store: Store) -> None:
        ours, theirs = [], []
        with peers.nbdcopy(self.bench_lab, vm) as copy:
            for _ in range(ROUNDS):
                cost = self.backup(vm, store, deep=True)
                disk = GenerationDisk.objects.order_by("-generation__taken_at")[0]
                if disk.generation.manifest.disks[0].copied_bytes:
                    raise RuntimeError("something was written of an unchanged disk")
                ours.append(Cost(disk.seconds, cost.cpu, cost.memory))
                theirs.append(self.costs.measured(copy))
        what = "unchanged, no bitmap, reading"
        self.table.against(what, ours, "nbdcopy", theirs, mib=SIZE_MIB, bar=1 / 0.8)

    def proofs(self, store: Store) -> None:
        """Verification of the content and a restore of what was just kept."""
        generation = Generation.objects.order_by("-taken_at")[0]
        verified: list[Cost] = []
        read: list[Cost] = []
        restored: list[Cost] = []
        converted: list[Cost] = []
        reading = peers.read_through(store, generation)
        converting = peers.convert_back(self.bench_lab, store, generation)
        for turn in range(ROUNDS):
            verified.append(self.job(ask_for_verify(generation, 2), verify))
            read.append(self.costs.measured(reading))
            wish = RestoreRequest(name=f"bench-copy-{turn}")
            job = ask_for_restore(generation, self.bench_lab.alpha, wish)
            restored.append(self.job(job, restore))
            self._remove_copy(wish.name)
            converted.append(self.costs.measured(converting))
        table = self.table
        table.against("verify, level 2", verified, "nbdcopy", read, mib=SIZE_MIB)
        table.against("restore, two hops", restored, "qemu-img convert", converted, mib=SIZE_MIB)

    def _remove_copy(self, name: str) -> None:
        run = self.bench_lab.source.run
        listed = run(["virsh", "-q", "domblklist", name], deadline=30).text.split()
        run(["virsh", "undefine", name], deadline=30)
        run(["rm", "-f", "--", *listed[1::2]], deadline=30)

    def live(self) -> None:
        """A running VM with a qcow2 disk: full, unchanged, 1 % changed. virtnbdbackup, which
        refuses a VM with checkpoints of others, has a twin of it."""
        bench_lab = self.bench_lab
        vm, twin = (bench_lab.vm(name, "qcow2", LIVE_MIB, LIVE_MIB) for name in ("live", "twin"))
        ours: dict[str, list[Cost]] = {"full": [], "still": [], "some": []}
        theirs: dict[str, list[Cost]] = {"full": [], "still": [], "some": []}
        peer = peers.has_virtnbdbackup(bench_lab)
        for turn in range(ROUNDS):
            store = self.store()
            peers.forget_virtnbdbackup(bench_lab, twin)
            for name, mode, level in (
                ("full", "full", "full"),
                ("still", "bitmap", "inc"),
                ("some", "bitmap", "inc"),
            ):
                if name == "some":
                    bench_lab.change(vm, LIVE_MIB // 100, LIVE_MIB, turn)
                    bench_lab.change(twin, LIVE_MIB // 100, LIVE_MIB, turn)
                ours[name].append(self.backup(vm, store, mode=mode))
                if peer:
                    copy = peers.virtnbdbackup(bench_lab, twin, level)
                    theirs[name].append(self.costs.measured(copy))
            bench_lab.drop(store)
        peers.forget_virtnbdbackup(bench_lab, twin)
        table, name = self.table, "virtnbdbackup to a folder of the same host"
        most = 0.05 * table.seconds(ours["full"]) + 2
        for what, turns, limit in (
            (f"full, running, {LIVE_MIB} MiB", "full", 0.0),
            ("unchanged with bitmap", "still", 2.0),
            ("1 % changed", "some", most),
        ):
            table.against(what, ours[turns], name, theirs[turns], mib=LIVE_MIB, most=limit)
        bench_lab.remove(vm)
        bench_lab.remove(twin)

    def growth(self, gib: int) -> None:
        """The same data in ever larger disks."""
        bench_lab, store, mib = self.bench_lab, self.store(), gib << 10
        vm = bench_lab.vm("sparse", "raw", DATA_MIB, mib, folder=WIDE)
        self.table.alone(f"full, {gib} GiB sparse", [self.backup(vm, store)], mib=mib)
        deep = self.backup(vm, store, deep=True)
        self.table.alone(f"unchanged, no bitmap, {gib} GiB sparse", [deep], mib=mib)
        bench_lab.remove(vm)
        vm = bench_lab.vm("wide", "qcow2", DATA_MIB, mib, folder=WIDE)
        self.backup(vm, store)
        still = [self.backup(vm, store, mode="bitmap") for _ in range(ROUNDS)]
        self.table.alone(f"unchanged with bitmap, {gib} GiB sparse", still, mib=mib, most=2.0)
        bench_lab.remove(vm)
        bench_lab.drop(store)

    def backup(self, vm: VM, store: Store, *, deep: bool = False, mode: str = "") -> Cost:
        """A whole job, which must have gone by `mode`."""
        cost = self.job(ask_for_backup(vm, store, deep=deep), back_up)
        disk = GenerationDisk.objects.order_by("-generation__taken_at")[0]
        if mode and disk.mode != mode:
            raise RuntimeError(f"{disk.mode} was measured instead of {mode}: {disk.why}")
        return cost

    def job(self, job: Job, do: Callable[[work.Work], dict[str, object]]) -> Cost:
        cost = self.costs.measured(lambda: work.perform(job.pk, do))
        ended = Job.objects.get(pk=job.pk)
        if ended.state != State.DONE:
            raise RuntimeError(f"what was to be measured failed: {ended.sentence} {ended.detail}")
        return cost
