"""The mover between real NBD exports of this machine."""

import errno
import hashlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from labpanel.adapters.errors import AdapterError
from labpanel.adapters.images.image_host import ImageHost
from labpanel.adapters.images.mover import Export, Moved, Mover, Tick
from labpanel.adapters.ssh.machine import Machine
from labpanel.adapters.ssh.session import ScriptRefused
from labpanel.adapters.store.prover import Prover
from labpanel.lib.io_fault import Access, IoFault
from labpanel.lib.shapes import PANEL
from labpanel.onhost.runtime import wire
from tests.adapters.images import BLOCK, fill, identical

ZERO = bytes(16)


def ignore(_: Tick) -> None:
    """Progress that is not looked at."""


def copied(images: ImageHost, mover: Mover, source: Path, target: Path) -> Moved:
    size = images.virtual_bytes(str(source), "raw")
    images.create(str(target), "qcow2", size)
    near = images.serve("vda", str(source), "raw", writable=False)
    far = images.serve("vda", str(target), "qcow2", writable=True)
    moved = mover.copy(Export(near, "vda"), Export(far, "vda"), on_progress=ignore)
    images.stop(far)
    images.stop(near)
    return moved


def listed(image: Path) -> bytes:
    """The list of digests of a raw image, made anew."""
    content = image.read_bytes()
    blocks = [content[at : at + BLOCK] for at in range(0, len(content), BLOCK)]
    return b"".join(hashlib.sha256(block).digest()[:16] if any(block) else ZERO for block in blocks)


def write_digests(path: Path, image: Path) -> str:
    path.write_bytes(json.dumps({}).encode() + b"\n" + listed(image))
    return str(path)


@pytest.mark.parametrize("seed", range(4))
def test_any_content_arrives_as_it_was(
    images: ImageHost, mover: Mover, tmp_path: Path, seed: int
) -> None:
    source, target = tmp_path / "source.raw", tmp_path / "target.qcow2"
    fill(source, 24, seed, tail=512 * seed)
    moved = copied(images, mover, source, target)
    assert identical(source, target)
    content = source.read_bytes()
    blocks = [content[at : at + BLOCK] for at in range(0, len(content), BLOCK)]
    assert moved.root == hashlib.sha256(listed(source)).hexdigest()
    assert moved.written_bytes == sum(len(block) for block in blocks if any(block))


def test_holes_are_not_read(images: ImageHost, mover: Mover, tmp_path: Path) -> None:
    source = tmp_path / "source.raw"
    with source.open("wb") as file:
        file.truncate(64 * BLOCK)
        file.seek(5 * BLOCK)
        file.write(b"x" * BLOCK)
    moved = copied(images, mover, source, tmp_path / "target.qcow2")
    assert (moved.read_bytes, moved.written_bytes) == (BLOCK, BLOCK)


def test_flipped_bytes_are_named_by_range(
    images: ImageHost, prover: Prover, tmp_path: Path
) -> None:
    source = tmp_path / "source.raw"
    source.write_bytes(os.urandom(16 * BLOCK))
    digests = write_digests(tmp_path / "list", source)
    with source.open("r+b") as file:
        for at in (3 * BLOCK + 17, 4 * BLOCK, 9 * BLOCK):
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ 1]))
    near = images.serve("vda", str(source), "raw", writable=False)
    found = prover.content(Export(near, "vda"), digests, on_progress=ignore)
    assert found.bad == [[3 * BLOCK, 5 * BLOCK], [9 * BLOCK, 10 * BLOCK]]


def test_zeros_where_data_was_are_found(images: ImageHost, prover: Prover, tmp_path: Path) -> None:
    source = tmp_path / "source.raw"
    source.write_bytes(os.urandom(4 * BLOCK))
    digests = write_digests(tmp_path / "list", source)
    hollow = tmp_path / "hollow.raw"
    with hollow.open("wb") as file:
        file.truncate(4 * BLOCK)
    near = images.serve("vda", str(hollow), "raw", writable=False)
    assert prover.content(Export(near, "vda"), digests, on_progress=ignore).bad == [[0, 4 * BLOCK]]


def test_a_restore_stops_at_a_rotten_block(images: ImageHost, mover: Mover, tmp_path: Path) -> None:
    source = tmp_path / "source.raw"
    source.write_bytes(os.urandom(8 * BLOCK))
    digests = write_digests(tmp_path / "list", source)
    with source.open("r+b") as file:
        file.seek(2 * BLOCK)
        file.write(b"rotten")
    near = images.serve("vda", str(source), "raw", writable=False)
    images.create(str(tmp_path / "back.raw"), "raw", 8 * BLOCK)
    far = images.serve("vda", str(tmp_path / "back.raw"), "raw", writable=True)
    with pytest.raises(ScriptRefused, match=f"byte {2 * BLOCK} is not what was backed up"):
        mover.restore(Export(near, "vda"), Export(far, "vda"), digests, on_progress=ignore)


def test_sizes_must_be_equal(images: ImageHost, mover: Mover, tmp_path: Path) -> None:
    source = tmp_path / "source.raw"
    source.write_bytes(bytes(4 * BLOCK))
    images.create(str(tmp_path / "small.raw"), "raw", 2 * BLOCK)
    near = images.serve("vda", str(source), "raw", writable=False)
    far = images.serve("vda", str(tmp_path / "small.raw"), "raw", writable=True)
    with pytest.raises(ScriptRefused, match="do not fit"):
        mover.copy(Export(near, "vda"), Export(far, "vda"), on_progress=ignore)


def server_of(socket: str) -> int:
    """The process id of the qemu-nbd behind a socket."""
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                words = (process / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue  # it ended while we looked
            if words[0] == b"qemu-nbd" and socket.encode() in words:
                return int(process.name)
    raise AssertionError(f"nothing serves {socket}")


def test_a_target_that_dies_ends_the_copy(images: ImageHost, mover: Mover, tmp_path: Path) -> None:
    source = tmp_path / "source.raw"
    source.write_bytes(os.urandom(64 * BLOCK))
    images.create(str(tmp_path / "target.raw"), "raw", 64 * BLOCK)
    near = images.serve("vda", str(source), "raw", writable=False)
    far = images.serve("vda", str(tmp_path / "target.raw"), "raw", writable=True)
    os.kill(server_of(far), signal.SIGKILL)
    with pytest.raises(ScriptRefused) as refused:
        mover.copy(Export(near, "vda"), Export(far, "vda"), on_progress=ignore)
    assert refused.value.code in {"nbd", "write"}


def test_nothing_outlives_the_session(images: ImageHost, tmp_path: Path) -> None:
    source = tmp_path / "source.raw"
    source.write_bytes(bytes(BLOCK))
    socket = images.serve("vda", str(source), "raw", writable=False)
    server, folder = server_of(socket), Path(socket).parent.parent
    images.__exit__()
    until = time.monotonic() + 10
    while Path(f"/proc/{server}").exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert not Path(f"/proc/{server}").exists()
    assert not folder.exists()


def killed(images: ImageHost, at_work: Path) -> Path:
    """The folder of a script that was killed while it served an image."""
    image = at_work / "killed.raw"
    image.write_bytes(bytes(BLOCK))
    folder = Path(images.serve("vda", str(image), "raw", writable=False)).parent.parent
    images._session._process.kill()
    images._session._process.wait(timeout=10)
    assert folder.exists()
    return folder


def test_the_folder_of_a_killed_script_goes_with_the_next(
    images: ImageHost, qemu: None, tmp_path: Path
) -> None:
    folder = killed(images, tmp_path)
    with ImageHost(Machine(PANEL)) as young:
        young.sockets()
    assert folder.exists()
    os.utime(folder / wire.ALIVE, (time.time() - wire.YOUNG_SECONDS - 1,) * 2)
    with ImageHost(Machine(PANEL)) as other, ImageHost(Machine(PANEL)) as third:
        held = Path(other.sockets())
        os.utime(held / wire.ALIVE, (0, 0))
        third.sockets()
        assert held.exists()
    assert not folder.exists()


@pytest.mark.parametrize("change", ["no mark", "a link", "open to others", "a file"])
def test_what_only_looks_like_a_scripts_folder_stays(change: str, tmp_path: Path) -> None:
    path, kept = tmp_path / f"{wire.PREFIX}x", tmp_path / "kept"
    made = kept if change == "a link" else path
    if change == "a file":
        made.write_bytes(b"")
    else:
        made.mkdir(mode=0o755 if change == "open to others" else 0o700)
    if change in {"a link", "open to others"}:
        (made / wire.ALIVE).touch()
        os.utime(made / wire.ALIVE, (0, 0))
    if change == "a link":
        path.symlink_to(kept)
    wire.sweep(str(tmp_path))
    assert path.exists()
    assert made.exists()


def test_a_script_without_libnbd_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    python = tmp_path / "python3"
    python.write_text(
        "#!/bin/sh\necho \"ModuleNotFoundError: No module named 'nbd'\" >&2; exit 1\n"
    )
    python.chmod(0o755)
    monkeypatch.setattr("labpanel.adapters.ssh.session.PYTHON", str(python))
    with (
        Mover(Machine(PANEL)) as broken,
        pytest.raises(AdapterError, match="apt install python3-libnbd"),
    ):
        broken.digest(Export("/nowhere", "vda"), on_progress=ignore)


def test_images_compress_on_the_way(images: ImageHost, mover: Mover, tmp_path: Path) -> None:
    source, target = tmp_path / "source.raw", tmp_path / "target.qcow2"
    source.write_bytes((b"all work and no play\n" * BLOCK)[: 16 * BLOCK])
    size = images.virtual_bytes(str(source), "raw")
    subprocess.run(
        [
            "qemu-img",
            "create",
            "-q",
            "-f",
            "qcow2",
            "-o",
            "compression_type=zstd",
            target,
            str(size),
        ],
        check=True,
        timeout=20,
    )
    os.truncate(target, size + (16 << 20))
    near = images.serve("vda", str(source), "raw", writable=False)
    stored = images.serve("bytes", str(target), "raw", writable=True)
    packing = images.serve_compressing("vda", stored, "bytes")
    mover.copy(Export(near, "vda"), Export(packing.socket, "vda"), on_progress=ignore)
    images.stop(packing.socket)
    images.stop(stored)
    assert identical(source, target)
    assert target.stat().st_blocks * 512 < size // 10


@pytest.fixture
def faulty(tmp_path: Path) -> Iterator[Callable[..., Export]]:
    """Serves a raw image whose sector fails when it is read, or written: by QEMU's blkdebug."""
    servers = []

    def serve(image: Path, access: str, sector: int) -> Export:
        rule = {"event": "none", "iotype": access, "errno": 5, "sector": sector, "once": False}
        file = {"driver": "file", "filename": str(image)}
        debug = {"driver": "blkdebug", "image": file, "inject-error": [rule]}
        node = json.dumps({"driver": "raw", "file": debug})
        socket = str(tmp_path / f"faulty-{access}")
        read_only = ["-r"] if access == "read" else []
        words = ["qemu-nbd", *read_only, "-t", "-e", "16", "-x", "vda", "-k", socket]
        servers.append(subprocess.Popen([*words, f"json:{node}"]))
        until = time.monotonic() + 10
        while not Path(socket).exists() and time.monotonic() < until:
            time.sleep(0.01)
        return Export(socket, "vda")

    yield serve
    for server in servers:
        server.kill()
        server.wait()


def test_what_cannot_be_read_or_written_is_a_value_with_its_place(
    images: ImageHost, mover: Mover, tmp_path: Path, faulty: Callable[..., Export]
) -> None:
    source, target = tmp_path / "source.raw", tmp_path / "target.raw"
    source.write_bytes(os.urandom(8 * BLOCK))
    target.write_bytes(bytes(8 * BLOCK))
    place = ("", 3 * BLOCK, 4 * BLOCK)
    good = Export(images.serve("vda", str(target), "raw", writable=True), "vda")
    with pytest.raises(ScriptRefused) as refused:
        mover.copy(faulty(source, "read", 3 * BLOCK // 512), good, on_progress=ignore)
    assert refused.value.io == IoFault(Access.READ, errno.EIO, *place)
    assert refused.value.machine == PANEL.name
    images.stop(good.socket)
    good = Export(images.serve("vda", str(source), "raw", writable=False), "vda")
    bad = faulty(target, "write", 3 * BLOCK // 512)
    with pytest.raises(ScriptRefused) as refused:
        mover.copy(good, bad, on_progress=ignore)
    assert refused.value.io == IoFault(Access.WRITE, errno.EIO, *place)
    digests = write_digests(tmp_path / "list", source)
    with pytest.raises(ScriptRefused) as refused:
        mover.restore(good, bad, digests, on_progress=ignore)
    assert refused.value.io is not None
    assert refused.value.io.access is Access.WRITE
    images.stop(good.socket)


def test_a_server_that_is_gone_says_nothing_of_a_disk(
    images: ImageHost, mover: Mover, tmp_path: Path
) -> None:
    gone = Export(str(tmp_path / "nobody"), "vda")
    with pytest.raises(ScriptRefused) as refused:
        mover.digest(gone, on_progress=ignore)
    assert (refused.value.code, refused.value.io) == ("nbd", None)
