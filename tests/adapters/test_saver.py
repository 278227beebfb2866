"""Backing one disk up between real NBD exports: candidates, forced blocks, errors, the cap."""

import hashlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from labpanel.adapters.images.image_host import ImageHost
from labpanel.adapters.images.mover import Export, Mover, Saved, Tick
from labpanel.adapters.ssh.machine import PYTHON
from labpanel.adapters.ssh.session import ScriptRefused
from labpanel.env import REPOSITORY
from labpanel.lib.hints import BITMAP, DEEP, EVERYTHING, FULL, UNCHANGED, Hint
from labpanel.lib.store_format.digests import header
from labpanel.onhost.blocks import digests as lists
from tests.adapters.images import BLOCK, fill, identical
from tests.adapters.test_mover import server_of

BLOCKS = 12
NOTHING = Hint(FULL, "")


def ignore(_: Tick) -> None:
    """Progress that is not looked at."""


class Kept:
    """A raw disk, and its copy and list of digests, which later runs bring up to date in place."""

    def __init__(
        self, images: ImageHost, mover: Mover, folder: Path, *, as_file: bool = False
    ) -> None:
        self.images, self.mover, self.folder = images, mover, folder
        self.as_file = as_file
        self.disk, self.copy, self.list = (
            folder / name for name in ("disk.raw", "copy.raw", "list")
        )
        fill(self.disk, BLOCKS, seed=3, tail=1536)
        self.size = self.disk.stat().st_size
        images.create(str(self.copy), "raw", self.size)
        self.list.write_bytes(header(self.size) + bytes(16 * (BLOCKS + 1)))
        os.truncate(self.list, 4096 + 512)

    def save(
        self,
        hint: Hint = EVERYTHING,
        *,
        near: str = "",
        told: Callable[[Tick], None] = ignore,
        forced: tuple[tuple[int, int], ...] = (),
        cap: int | None = None,
    ) -> Saved:
        file = str(self.disk) if self.as_file and not near else ""
        near = near or self.images.serve("vda", str(self.disk), "raw", writable=False)
        far = self.images.serve("vda", str(self.copy), "raw", writable=True)
        listed = self.images.serve("list", str(self.list), "raw", writable=True)
        saved = self.mover.back_up(
            Export(near, "vda", file),
            Export(far, "vda"),
            Export(listed, "list"),
            hint=hint,
            forced=forced,
            bytes_per_second=cap,
            on_progress=told,
        )
        for socket in (listed, far):
            self.images.stop(socket)
        return saved

    def digests(self) -> list[bytes]:
        listed = lists.read(str(self.list))
        return [listed[at : at + 16] for at in range(0, 16 * (BLOCKS + 1), 16)]

    def expected(self) -> list[bytes]:
        content = self.disk.read_bytes()
        blocks = [content[at : at + BLOCK] for at in range(0, self.size, BLOCK)]
        return [
            hashlib.sha256(block).digest()[:16] if any(block) else bytes(16) for block in blocks
        ]

    def write(self, block: int, data: bytes, *, to: Path | None = None) -> None:
        with (to or self.disk).open("r+b") as file:
            file.seek(block * BLOCK)
            file.write(data)


@pytest.fixture(params=[False, True], ids=["export", "file"])
def kept(images: ImageHost, mover: Mover, tmp_path: Path, request: pytest.FixtureRequest) -> Kept:
    made = Kept(images, mover, tmp_path, as_file=request.param)
    saved = made.save(NOTHING)
    assert made.copy.read_bytes() == made.disk.read_bytes()
    assert made.digests() == made.expected()
    assert (saved.candidate_bytes, saved.missed, saved.unreadable) == (made.size, [], [])
    return made


def test_an_unchanged_disk_is_read_and_nothing_is_written(kept: Kept) -> None:
    before = kept.copy.stat().st_mtime_ns, kept.list.stat().st_mtime_ns
    saved = kept.save()
    assert (saved.written_bytes, saved.candidate_bytes) == (0, kept.size)
    assert (kept.copy.stat().st_mtime_ns, kept.list.stat().st_mtime_ns) == before


def test_it_is_told_how_much_of_the_parent_is_still_there(kept: Kept) -> None:
    """Zeros are alike on any two disks: they count for nothing."""
    data = [number for number, digest in enumerate(kept.digests()) if any(digest)]
    sizes = [min(BLOCK, kept.size - number * BLOCK) for number in data]
    saved = kept.save()
    assert (saved.alike_bytes, saved.lost_bytes) == (sum(sizes), 0)
    kept.write(data[0], b"changed")
    kept.write(data[1], bytes(BLOCK))
    saved = kept.save()
    assert (saved.alike_bytes, saved.lost_bytes) == (sum(sizes[2:]), 2 * BLOCK)
    for number in data[2:]:
        kept.write(number, b"another disk")
    saved = kept.save()
    assert saved.alike_bytes <= BLOCK
    assert saved.lost_bytes >= sum(sizes[2:])


def test_an_untouched_image_is_not_even_read(kept: Kept) -> None:
    saved = kept.save(Hint(UNCHANGED, ""))
    assert (saved.read_bytes, saved.candidate_bytes) == (0, 0)


def test_only_what_differs_is_written(kept: Kept) -> None:
    data = [number for number, digest in enumerate(kept.digests()) if any(digest)]
    kept.write(data[0], b"changed")
    kept.write(data[1], bytes(BLOCK))
    saved = kept.save()
    assert saved.written_bytes == BLOCK
    assert kept.copy.read_bytes() == kept.disk.read_bytes()
    assert kept.digests() == kept.expected()


def test_rot_in_the_copy_is_overwritten_where_it_is_forced(kept: Kept) -> None:
    zero = kept.digests().index(bytes(16))
    data = next(number for number, digest in enumerate(kept.digests()) if any(digest))
    for block in (zero, data):
        kept.write(block, b"rot", to=kept.copy)
    places = tuple((block * BLOCK + 1, block * BLOCK + 2) for block in (zero, data))
    saved = kept.save(Hint(UNCHANGED, ""), forced=places)
    assert saved.candidate_bytes == 2 * BLOCK
    assert kept.copy.read_bytes() == kept.disk.read_bytes()


def test_a_bitmap_that_is_not_there_is_no_hint(kept: Kept) -> None:
    kept.write(1, b"changed")
    saved = kept.save(Hint(BITMAP, "", "qemu:dirty-bitmap:none"))
    assert not saved.hinted
    assert kept.copy.read_bytes() == kept.disk.read_bytes()


def test_what_a_bitmap_flags_is_told_at_once(
    images: ImageHost, mover: Mover, tmp_path: Path
) -> None:
    disk = tmp_path / "disk.qcow2"
    images.create(str(disk), "qcow2", 8 * BLOCK)
    for words in (
        ["qemu-img", "bitmap", "--add", "-f", "qcow2", str(disk), "record"],
        ["qemu-io", "-f", "qcow2", "-c", f"write -P 1 {BLOCK - 512} 1024", str(disk)],
    ):
        subprocess.run(words, check=True, timeout=20, capture_output=True)
    near = images.serve("vda", str(disk), "qcow2", writable=False, bitmap="record")
    assert mover.flagged(Export(near, "vda"), "qemu:dirty-bitmap:record") == 2 * BLOCK
    assert mover.flagged(Export(near, "vda"), "qemu:dirty-bitmap:none") is None


def test_a_deep_run_without_a_bitmap_misses_nothing(kept: Kept) -> None:
    kept.write(1, b"changed")
    assert kept.save(Hint(DEEP, "")).missed == []


@pytest.fixture
def failing(kept: Kept, tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Serves the disk with sectors that cannot be read, by QEMU's own blkdebug."""
    servers = []

    def serve(*sectors: int) -> str:
        rules = [
            {"event": "none", "iotype": "read", "errno": 5, "sector": sector, "once": False}
            for sector in sectors
        ]
        image = {"driver": "file", "filename": str(kept.disk)}
        debug = {"driver": "blkdebug", "image": image, "inject-error": rules}
        node = json.dumps({"driver": "raw", "file": debug})
        socket = str(tmp_path / "failing")
        words = ["qemu-nbd", "-r", "-t", "-e", "16", "-x", "vda", "-k", socket, f"json:{node}"]
        servers.append(subprocess.Popen(words))
        until = time.monotonic() + 10
        while not Path(socket).exists() and time.monotonic() < until:
            time.sleep(0.01)
        return socket

    yield serve
    for server in servers:
        server.kill()
        server.wait()


def test_what_cannot_be_read_is_named_finely_and_stays_as_it_was(
    kept: Kept, failing: Callable[..., str]
) -> None:
    before = kept.copy.read_bytes()
    for block in range(BLOCKS):
        kept.write(block, os.urandom(BLOCK))
    bad = 5 * BLOCK // 512 + 9
    saved = kept.save(near=failing(bad, bad + 8 * 20))
    start = 5 * BLOCK + 4096
    later = start + 20 * 4096
    assert saved.unreadable == [[start, start + 4096], [later, later + 4096]]
    copy, disk = kept.copy.read_bytes(), kept.disk.read_bytes()
    lost = slice(5 * BLOCK, 6 * BLOCK)
    assert copy[lost] == before[lost]
    assert copy[: 5 * BLOCK] + copy[6 * BLOCK :] == disk[: 5 * BLOCK] + disk[6 * BLOCK :]
    now = kept.expected()
    assert [n for n, digest in enumerate(kept.digests()) if digest != now[n]] == [5]


def test_a_first_full_keeps_what_can_be_read(
    images: ImageHost, mover: Mover, tmp_path: Path, kept: Kept, failing: Callable[..., str]
) -> None:
    kept.write(2, os.urandom(BLOCK))
    kept.copy.write_bytes(bytes(kept.size))
    saved = kept.save(NOTHING, near=failing(2 * BLOCK // 512))
    assert saved.unreadable == [[2 * BLOCK, 2 * BLOCK + 4096]]
    disk = bytearray(kept.disk.read_bytes())
    disk[2 * BLOCK : 2 * BLOCK + 4096] = bytes(4096)
    assert kept.copy.read_bytes() == disk


def test_a_file_reads_as_its_export(qemu: None, tmp_path: Path) -> None:
    words = [PYTHON, "-m", "tests.adapters.reading", str(tmp_path)]
    done = subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_a_source_that_dies_fails_the_run(kept: Kept) -> None:
    near = kept.images.serve("vda", str(kept.disk), "raw", writable=False)
    os.kill(server_of(near), signal.SIGKILL)
    with pytest.raises(ScriptRefused) as refused:
        kept.save(near=near)
    assert refused.value.code == "nbd"


@pytest.mark.parametrize("kept", [False], indirect=True)
def test_a_cap_holds_back_what_is_written(kept: Kept) -> None:
    for block in range(BLOCKS):
        kept.write(block, os.urandom(BLOCK))
    assert kept.save(cap=BLOCKS * BLOCK // 3).seconds > 1


def test_what_does_not_compress_goes_past_the_compressor(
    images: ImageHost, mover: Mover, tmp_path: Path
) -> None:
    """Both ways lead into one image: text compressed (without an offset of its own), noise not."""
    source, target = tmp_path / "disk.raw", tmp_path / "copy.qcow2"
    text = (b"all work and no play\n" * BLOCK)[: 2 * BLOCK]
    source.write_bytes(text + os.urandom(2 * BLOCK))
    size = 4 * BLOCK
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", str(target), str(size)], check=True, timeout=20
    )
    os.truncate(target, size + (16 << 20))
    listed = tmp_path / "list"
    listed.write_bytes(header(size) + bytes(512))
    near = images.serve("vda", str(source), "raw", writable=False)
    stored = images.serve("bytes", str(target), "raw", writable=True)
    digests = images.serve("list", str(listed), "raw", writable=True)
    packing = images.serve_compressing("vda", stored, "bytes")
    assert packing.plain != packing.name
    mover.back_up(
        Export(near, "vda"),
        Export(packing.socket, packing.name),
        Export(digests, "list"),
        plain=packing.plain,
        hint=NOTHING,
        on_progress=ignore,
    )
    for socket in (packing.socket, stored):
        images.stop(socket)
    assert identical(source, target)
    words = ["qemu-img", "map", "--output=json", str(target)]
    parts = json.loads(subprocess.check_output(words, timeout=20))
    plain = sum(part["length"] for part in parts if "offset" in part)
    assert plain == 2 * BLOCK
