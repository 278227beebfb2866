"""A guest that writes, zeroes and trims its qcow2 disk, a store that keeps it, and a model of both.

Everything is real but the guest: QEMU's tools write the disk and record its dirty bitmap, the
keeper and the mover work as they do for a backup. The model is a bytearray for the disk, and one
bytes for each generation kept.
"""

import contextlib
import random
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

from labpanel.adapters.errors import AdapterError
from labpanel.adapters.images.image_host import ImageHost
from labpanel.adapters.images.mover import Export, Mover, Saved, Tick
from labpanel.adapters.ssh.machine import Machine
from labpanel.adapters.store.keeper import Keeper
from labpanel.adapters.store.pruner import Pruner as RealPruner
from labpanel.lib.hints import BITMAP, DEEP, FULL, READ, Hint
from labpanel.lib.shapes import PANEL
from labpanel.lib.store_format.found import AskedDisk, BegunDisk
from tests.made_manifests import asked_disk, draft

BLOCK, CLUSTER = 256 * 1024, 64 * 1024
VM, PANEL_ID = "11111111-2222-4333-8444-555555555555", "panel-one"
RECORD = "record"


class Pruner(RealPruner):
    """One that can die like a machine without power."""

    def kill(self) -> None:
        self._session._process.kill()


class Killed(Exception):
    """The worker dies here."""


def tool(*words: str | Path) -> None:
    subprocess.run([str(word) for word in words], check=True, timeout=60, capture_output=True)


class Guest:
    """The disk, what it should hold, and whether its bitmap can be trusted."""

    def __init__(self, path: Path, size: int, chance: random.Random) -> None:
        self.path, self.chance = path, chance
        self.model = bytearray(size)
        self.trusted = False
        tool("qemu-img", "create", "-f", "qcow2", path, str(size))

    def work(self, *, recorded: bool = True) -> list[tuple[int, int]]:
        """Some writes, zeroings and trims; where. Not `recorded`: behind the bitmap's back."""
        if not recorded:
            self._record("--disable")
        commands, places = [], []
        for _ in range(self.chance.randrange(1, 6)):
            first, length = self._place()
            kind = self.chance.choice(["write", "write", "zero", "unmap", "discard"])
            byte = self.chance.randrange(1, 256) if kind == "write" else 0
            self.model[first : first + length] = bytes([byte]) * length
            places.append((first, first + length))
            flags = {"write": f"write -P {byte}", "zero": "write -z", "unmap": "write -z -u"}
            commands += ["-c", f"{flags.get(kind, 'discard')} {first} {length}"]
        tool("qemu-io", "-d", "unmap", "-f", "qcow2", *commands, self.path)
        if not recorded:
            self._record("--enable")
        return places

    def _place(self) -> tuple[int, int]:
        """Whole clusters, since only such are trimmed; or the tail of the disk."""
        clusters = -(-len(self.model) // CLUSTER)
        first = self.chance.randrange(clusters)
        after = min(clusters, first + self.chance.choice([1, 1, 2, 5, 9]))
        start, end = first * CLUSTER, min(after * CLUSTER, len(self.model))
        return start, end - start

    def grow(self) -> None:
        """To another size, ending anywhere; its record ends with that."""
        more = self.chance.choice([512, CLUSTER, BLOCK, 3 * BLOCK + 1024])
        self.lose()
        self.model += bytes(more)
        tool("qemu-img", "resize", "-f", "qcow2", self.path, str(len(self.model)))

    def lose(self) -> None:
        """The record of what changed, as a power cut does."""
        if self.trusted:
            self._record("--remove")
        self.trusted = False

    def begin_record(self) -> None:
        self.lose()
        self._record("--add")
        self.trusted = True

    def _record(self, verb: str) -> None:
        if self.trusted or verb == "--add":
            tool("qemu-img", "bitmap", verb, "-f", "qcow2", self.path, RECORD)


class Rounds:
    """The guest and its generations in one store; `kept` is key → what it must read as."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.chance = random.Random(seed)
        self.store = folder / "store"
        self.store.mkdir()
        self.folder = folder
        self.guest = Guest(folder / "guest.qcow2", 14 * BLOCK + 1536, self.chance)
        self.kept: dict[str, bytes] = {}
        self.roots: dict[str, tuple[str, int]] = {}  # of lists, and sizes of their disks
        self.made = 0
        self._count = 0

    @contextlib.contextmanager
    def hands(self) -> Iterator[None]:
        """The programs of one run of the panel."""
        with (
            Keeper(Machine(PANEL), str(self.store), PANEL_ID) as self.keeper,
            ImageHost(Machine(PANEL)) as self.images,
            Mover(Machine(PANEL)) as self.mover,
        ):
            self._store_id = self.keeper.init()
            with Keeper(Machine(PANEL), str(self.store), PANEL_ID, self._store_id) as self.keeper:
                yield

    def back_up(self, *, deep: bool = False, killed: bool = False) -> Saved:
        """One generation on top of the newest; the bitmap begins anew only when it is kept."""
        self._count += 1
        key = f"20261122T{self._count:06}Z-abc123"
        parent = max(self.kept, default=None)
        size = len(self.guest.model)
        root, length = self.roots.get(parent or "", ("", 0))
        disk = AskedDisk("vda", size, parent or "", root)
        begun = self.keeper.begin(VM, key, [disk])["vda"]
        assert begun.parent == (parent or ""), begun.why
        try:
            saved = self._fill(
                begun, self._hint(parent, deep=deep), root if length == size else "", killed=killed
            )
        except Killed:
            return Saved(0, 0, 0, 0, 0.0, [], [], hinted=True)
        one = asked_disk("vda", size, parent=parent)
        manifest = draft(key, [one], store_id=self._store_id, panel_id=PANEL_ID)
        made = self.keeper.finish(VM, key, manifest, {"domain.xml": "<domain/>"})
        assert saved.root == made.disks[0].root
        self.roots[key] = (saved.root, size)
        self.keeper.publish(VM, key, made)
        self.guest.begin_record()
        self.kept[key] = bytes(self.guest.model)
        self.made += 1
        return saved

    def _hint(self, parent: str | None, *, deep: bool) -> Hint:
        context = f"qemu:dirty-bitmap:{RECORD}" if self.guest.trusted else ""
        if parent is None:
            return Hint(FULL, "")
        if deep:
            return Hint(DEEP, "", context)
        return Hint(BITMAP, "", context) if context else Hint(READ, "")

    def _fill(self, begun: BegunDisk, hint: Hint, root: str, *, killed: bool) -> Saved:
        def told(_: Tick) -> None:
            if killed:
                raise Killed

        bitmap = RECORD if hint.context else ""
        path = str(self.guest.path)
        near = self.images.serve("vda", path, "qcow2", writable=False, bitmap=bitmap)
        stored = self.keeper.serve_bytes("vda", begun.image)
        listed = self.keeper.serve_bytes("digests", begun.digests)
        packing = self.images.serve_compressing("vda", stored, "vda")
        saved = self.mover.back_up(
            Export(near, "vda"),
            Export(packing.socket, "vda"),
            Export(listed, "digests"),
            hint=hint,
            plain=packing.plain,
            root=root,
            on_progress=told,
        )
        for socket in (packing.socket, near):
            self.images.stop(socket)
        for socket in (listed, stored):
            self.keeper.stop(socket)
        return saved

    def prune(self, *, killed: bool = False) -> None:
        """Some generations go, the newest too at times; `killed`, in the middle of it. What is gone
        then is one that was to go."""
        keys = sorted(self.kept)
        drop = self.chance.sample(keys, self.chance.randrange(1, min(4, len(keys))))
        opened = Pruner(Machine(PANEL), str(self.store), PANEL_ID, self._store_id)
        with opened, contextlib.suppress(AdapterError) if killed else contextlib.nullcontext():
            if killed:
                opened.prune(VM, [], lambda _: None)  # the script runs now: only its work is cut
                threading.Timer(self.chance.uniform(0, 0.5), opened.kill).start()
            opened.prune(VM, drop, lambda _: None)
        there = {entry.key: entry for entry in self.keeper.look().entries}
        gone = set(keys) - set(there)
        assert gone <= set(drop)
        assert killed or gone == set(drop)
        assert not any(entry.damage for entry in there.values())
        self.kept = {key: content for key, content in self.kept.items() if key in there}
        if keys[-1] in gone:
            self.guest.lose()  # its record began at a generation that is no more
        for key, content in self.kept.items():
            assert self.read(key) == content, key

    def sweep(self) -> None:
        """What a settling does after a worker's death."""
        for vm_uuid, key in self.keeper.look().partials:
            self.keeper.drop(vm_uuid, key)

    def read(self, key: str) -> bytes:
        """What a generation reads as, by QEMU alone."""
        path = self.folder / "read.raw"
        tool("qemu-img", "convert", "-O", "raw", self.store / VM / key / "vda.qcow2", path)
        return path.read_bytes()

    def restore(self, key: str) -> bytes:
        """What a restore of a generation makes, with its digests checked on the way."""
        path = self.folder / "restored.raw"
        path.unlink(missing_ok=True)
        self.images.create(str(path), "raw", len(self.kept[key]))
        near = self.keeper.serve("vda", self.keeper.path_of(VM, key, "vda.qcow2"))
        far = self.images.serve("vda", str(path), "raw", writable=True)
        digests = self.keeper.path_of(VM, key, "vda.digests")
        self.mover.restore(
            Export(near, "vda"), Export(far, "vda"), digests, on_progress=lambda _: None
        )
        self.images.stop(far)
        self.keeper.stop(near)
        return path.read_bytes()
