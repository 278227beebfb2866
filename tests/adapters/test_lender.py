"""What is lent to a VM: the disk as it was backed up, block by block, or nothing."""

import contextlib
import os
import random
import socket
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from labpanel.adapters.errors import AdapterError, Refused
from labpanel.adapters.ssh.machine import Machine
from labpanel.adapters.store import remote_backing
from labpanel.adapters.store.remote_backing import Backing, BackingImage, RemoteBacking
from labpanel.lib.shapes import PANEL
from tests.adapters.generations import BLOCK, Made, changed, init, run

SIZE = 9 * BLOCK + 1536


@pytest.fixture
def made(qemu: None, tmp_path: Path) -> Made:
    init(tmp_path / "store")
    store = Made(tmp_path / "store", random.Random(5))
    content = store.chance.randbytes(2 * BLOCK) + bytes(3 * BLOCK)
    content += store.chance.randbytes(SIZE - len(content))
    for _ in range(2):
        store.add({"vda": content})
        content = changed(store.chance, content, 2)
    return store


def backing(made: Made, key: str, root: str = "") -> Backing:
    (disk,) = made.manifest(key)["disks"]
    lent = BackingImage(str(made.folder / key / "vda.qcow2"), {}, root or disk["root"], SIZE)
    token = f"{random.SystemRandom().randrange(1 << 48):012x}-1"
    return Backing(token, "copy", str(made.store), str(made.folder / ".lock"), {"vda": lent})


@pytest.fixture
def lines() -> Iterator[list[RemoteBacking]]:
    if os.geteuid() != 0:
        pytest.skip("needs root: the borrower's sockets lie in /run/libvirt")
    place = Path("/run/libvirt")
    there = place.exists()
    place.mkdir(exist_ok=True)
    opened: list[RemoteBacking] = []
    yield opened
    for line in opened:
        assert line.close() == []
    if not there and not any(place.iterdir()):
        place.rmdir()


def opened(made: Made, lines: list[RemoteBacking], key: str) -> Path:
    """The lender's socket."""
    line = RemoteBacking(backing(made, key), PANEL, PANEL)
    lines.append(line)
    assert line.open() == {"vda": []}
    return Path(line._lend()["folder"]) / "vda"


def rotten(image: Path) -> int:
    """Overwrite a stretch of the image, past its tables; where."""
    with image.open("r+b") as file:
        at = image.stat().st_size - BLOCK
        file.seek(at)
        file.write(b"\xa5" * (BLOCK // 2))
    return at


def reads(at: Path, made: Made, *, form: str = "raw") -> bytes:
    out = made.store.with_name("read.raw")
    url = f"nbd+unix:///vda?socket={at}"
    run(["qemu-img", "convert", "-f", form, "-O", "raw", url, str(out)])
    return out.read_bytes()[:SIZE]


def test_it_reads_as_it_was_backed_up(made: Made, lines: list[RemoteBacking]) -> None:
    for key, held in made.held.items():
        at = opened(made, lines, key)
        assert reads(at, made) == held["vda"]
        # By the list alone: what is zeros there is not even read.
        words = ["qemu-img", "map", "--output=json", "-f", "raw", f"nbd+unix:///vda?socket={at}"]
        mapped = subprocess.run(words, check=True, capture_output=True, text=True, timeout=30)
        assert '"zero": true' in mapped.stdout


def test_a_client_without_structured_replies_reads_the_same(
    made: Made, lines: list[RemoteBacking]
) -> None:
    key = max(made.held)
    at = opened(made, lines, key)
    program = (
        "import nbd,sys\nh=nbd.NBD()\nh.set_request_structured_replies(False)\n"
        "h.set_export_name('vda')\nh.connect_unix(sys.argv[1])\n"
        "n=int(sys.argv[2])\n"
        "sys.stdout.buffer.write(b''.join(h.pread(min(100000,n-a),a) for a in range(0,n,100000)))"
    )
    words = ["/usr/bin/python3", "-c", program, str(at), str(SIZE)]
    done = subprocess.run(words, check=True, capture_output=True, timeout=30)
    assert done.stdout == made.held[key]["vda"]


def test_a_block_that_changed_is_not_handed_out(made: Made, lines: list[RemoteBacking]) -> None:
    """Rot, or a stranger's own blocks: the same, since the list does not know them."""
    first, second = sorted(made.held)
    rotten(made.folder / first / "vda.qcow2")
    at = opened(made, lines, second)
    good = made.held[second]["vda"]
    failed = []
    for start in range(0, SIZE, BLOCK):
        length = min(BLOCK, SIZE - start)
        words = ["qemu-io", "-r", "-f", "raw", "-c", f"read -v {start} {length}"]
        done = subprocess.run(
            [*words, f"nbd+unix:///vda?socket={at}"], capture_output=True, text=True, timeout=30
        )
        if done.returncode:
            failed.append(start)
            assert "Input/output error" in done.stderr + done.stdout
        else:
            assert hexed(done.stdout) == good[start : start + length]
    assert failed
    assert lines[0].open() == {"vda": failed}


def hexed(dump: str) -> bytes:
    """The bytes of qemu-io's `read -v`."""
    lines = [line.split("  ")[1] for line in dump.splitlines() if line[8:9] == ":"]
    return bytes.fromhex("".join(lines))


def test_a_list_that_is_not_the_manifests_is_refused(
    made: Made, lines: list[RemoteBacking]
) -> None:
    key = max(made.held)
    lines.append(RemoteBacking(backing(made, key, root="0" * 64), PANEL, PANEL))
    with pytest.raises(Refused, match="vda.digests is not what was written"):
        lines[0].open()


def test_an_image_on_another_file_is_not_lent(
    made: Made, lines: list[RemoteBacking], tmp_path: Path
) -> None:
    key, secret = max(made.held), tmp_path / "secret"
    secret.write_bytes(b"root:$6$SECRET" * 10000)
    image = str(made.folder / key / "vda.qcow2")
    run(["qemu-img", "rebase", "-u", "-f", "qcow2", "-b", str(secret), "-F", "raw", image])
    lines.append(RemoteBacking(backing(made, key), PANEL, PANEL))
    with pytest.raises(Refused, match="its manifest says on"):
        lines[0].open()


@pytest.mark.parametrize("target", ["../vda", "vda/x", "", "vda vdb", "vda?socket=/x"])
def test_a_disk_has_a_plain_name(target: str) -> None:
    with pytest.raises(Refused, match="is not the name of a virtual disk"):
        Backing("token", "copy", "/srv", "/srv/.lock", {target: BackingImage("/srv/x", {}, "", 0)})


_OPTION = struct.Struct(">IQII")  # the client's flags, IHAVEOPT, an option and its length
STRANGE = (
    b"",
    b"GET / HTTP/1.1\r\n\r\n",
    struct.pack(">I", 3) + b"\xff" * 64,
    _OPTION.pack(3, 0x49484156454F5054, 7, 1 << 31),
    _OPTION.pack(3, 0x49484156454F5054, 7, 3) + b"abc",
    _OPTION.pack(3, 0x49484156454F5054, 10, 2) + b"ab",
)


def test_a_client_that_speaks_otherwise_ends_itself_alone(
    made: Made, lines: list[RemoteBacking]
) -> None:
    key = max(made.held)
    at = opened(made, lines, key)
    for said in STRANGE:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(10)
            client.connect(str(at))
            client.sendall(said)
            client.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionResetError):
                while client.recv(4096):
                    pass
    assert reads(at, made) == made.held[key]["vda"]


def test_a_request_beyond_the_disk_or_a_write_is_an_error(
    made: Made, lines: list[RemoteBacking]
) -> None:
    at = opened(made, lines, max(made.held))
    program = (
        "import nbd,sys\nh=nbd.NBD()\nh.set_strict_mode(0)\nh.set_export_name('vda')\n"
        "h.connect_unix(sys.argv[1])\nn=h.get_size()\n"
        "def no(f,*a):\n"
        "    try: f(*a)\n"
        "    except nbd.Error: return\n"
        "    raise SystemExit('it did %r' % (a,))\n"
        "no(h.pread,512,n)\nno(h.pread,1024,n-512)\nno(h.zero,512,0)\nno(h.trim,512,0)\n"
        "h.flush()\nassert len(h.pread(512,0)) == 512\n"
    )
    words = ["/usr/bin/python3", "-c", program, str(at)]
    subprocess.run(words, check=True, capture_output=True, timeout=30)


def test_the_answer_of_a_strange_program_is_no_answer() -> None:
    machine = Machine(PANEL)
    for text in ("", "[]", "{}", '{"folder": 1, "bad": {"vda": "x"}}', "null", '{"bad": []}'):
        with pytest.raises(AdapterError, match="is not used"):
            remote_backing._answer(machine, text)
    good = remote_backing._answer(machine, '{"folder": "/run/x"}')
    assert good == {"folder": "/run/x", "bad": {}}
