"""What QEMU's programs can reach while they work on an image: that image, and nothing else here."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from labpanel.adapters.images.image_host import ImageHost
from labpanel.adapters.ssh.machine import Machine
from labpanel.lib.shapes import PANEL
from labpanel.onhost.runtime import confined

SIZE = 1 << 20
# Runs a shell in the place of a program of QEMU's; argv: the image, "r" or "w", a folder, a script.
_SHELL = """
import json, os, subprocess, sys
from labpanel.onhost.runtime import confined
from labpanel.onhost.runtime.wire import leave
image, mode, place, script = sys.argv[1:]
if not confined.possible():
    sys.exit("nothing is run here that is not confined")
handle = os.open(image, os.O_RDONLY)
reach = confined.OpenFiles([handle], [handle] if mode == "w" else [], [place])
if mode == "exchanged":  # between the look and the opening
    os.rename(image, image + ".old")
    open(image, "wb").write(b"another")
if mode == "gone":
    os.unlink(image)
try:
    done = subprocess.run(["sh", "-c", script, "sh", confined.shown(handle)], capture_output=True,
                          text=True, preexec_fn=confined.before(reach), pass_fds=[handle])
    print(json.dumps([done.stdout, done.stderr]), flush=True)
except subprocess.SubprocessError as error:
    print(json.dumps(["", str(error)]), flush=True)
leave(0)
"""


@pytest.fixture
def image(qemu: None, tmp_path: Path) -> Path:
    if os.geteuid() != 0:
        pytest.skip("needs root: only root can confine a program")
    path = tmp_path / "private" / "vda.qcow2"
    path.parent.mkdir(mode=0o700)
    words = ["qemu-img", "create", "-q", "-f", "qcow2", str(path), str(SIZE)]
    subprocess.run(words, check=True, timeout=30)
    path.chmod(0o600)
    return path


def shell(image: Path, mode: str, script: str) -> tuple[str, str]:
    """What a shell says that is confined as QEMU's programs are."""
    place = image.parent / "sockets"
    place.mkdir(exist_ok=True, mode=0o700)
    words = [sys.executable, "-c", _SHELL, str(image), mode, str(place), script]
    done = subprocess.run(words, check=True, capture_output=True, text=True, timeout=60)
    out, err = json.loads(done.stdout)
    return out, err


def test_it_reads_the_image_and_no_other_file(image: Path) -> None:
    secret = image.parent / "secret"
    secret.write_text("SECRETHASH")
    out, err = shell(image, "r", f"head -c 3 $1; cat {secret} /etc/passwd /proc/1/environ")
    assert out == "QFI"
    assert err.count("No such file or directory") == 3
    out, err = shell(image, "r", "ls -d /* /etc/* /images/* /dev/* | tr '\\n' ' '")
    assert set(out.split()) - {"/lib32", "/lib64", "/sbin"} == {
        *("/bin", "/dev", "/dev/null", "/etc", "/etc/ld.so.cache", "/images", "/images/3"),
        *("/lib", "/tmp", "/usr"),
    }


def test_it_is_nobody_with_nothing_but_the_right_to_open(image: Path) -> None:
    nobody = confined.nobody()
    out, _ = shell(image, "r", "id -u; for at in /usr $1; do test -w $at && echo writable; done")
    assert out == f"{nobody}\n"
    before = image.read_bytes()
    shell(image, "w", "printf Q | dd of=$1 conv=notrunc status=none")
    assert image.read_bytes() == before
    shell(image, "w", "printf X | dd of=$1 conv=notrunc status=none")
    assert image.read_bytes() == b"X" + before[1:]


def test_it_gets_the_file_that_was_looked_at(image: Path) -> None:
    assert shell(image, "exchanged", "head -c 3 $1")[0] == "QFI"
    assert shell(image, "gone", "head -c 3 $1") == ("", "Exception occurred in preexec_fn.")


@pytest.fixture
def plainly(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ImageHost]:
    """A host whose QEMU lies where a confined program would not find itself."""
    (tmp_path / "bin").mkdir()
    for name in ("qemu-nbd", "qemu-img"):
        real = subprocess.run(["which", name], check=True, capture_output=True, text=True)
        (tmp_path / "bin" / name).symlink_to(real.stdout.strip())
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    with ImageHost(Machine(PANEL)) as host:
        yield host


def facts(socket: str) -> dict[str, str]:
    """Of the program behind a socket, by /proc/PID/status (proc(5))."""
    pid = Path(f"{socket}.pid").read_text().strip()
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


@pytest.mark.parametrize("writable", [False, True])
def test_what_serves_an_image_is_unprivileged(
    image: Path, images: ImageHost, writable: bool
) -> None:
    socket = images.serve("vda", str(image), "qcow2", writable=writable)
    found = facts(socket)
    assert set(found["Uid"].split()) == {str(confined.nobody())}
    assert found["NoNewPrivs"] == "1"
    assert {found[name] for name in ("CapPrm", "CapEff", "CapBnd")} == {f"{1 << 1:016x}"}
    assert image.stat().st_uid == 0
    images.stop(socket)


def test_what_compresses_for_a_store_is_unprivileged(image: Path, images: ImageHost) -> None:
    """It parses an image that the store's machine sends: its header could name files here."""
    os.truncate(image, 4 * SIZE)  # an export cannot grow
    stored = images.serve("vda", str(image), "raw", writable=True)
    packing = images.serve_compressing("vda", stored, "vda")
    assert set(facts(packing.socket)["Uid"].split()) == {str(confined.nobody())}
    url = f"nbd+unix:///vda?socket={packing.socket}"
    write = ["qemu-io", "-f", "raw", "-c", "write -P 7 0 64k", url]
    done = subprocess.run(write, check=True, capture_output=True, text=True, timeout=30)
    assert "wrote 65536" in done.stdout
    for socket in (packing.socket, stored):
        images.stop(socket)
    read = ["qemu-io", "-r", "-f", "qcow2", "-c", "read -P 7 0 64k", str(image)]
    done = subprocess.run(read, check=True, capture_output=True, text=True, timeout=30)
    assert "Pattern verification failed" not in done.stdout


def test_where_it_cannot_be_confined_it_works_as_before(image: Path, plainly: ImageHost) -> None:
    socket = plainly.serve("vda", str(image), "qcow2", writable=False)
    assert facts(socket)["Uid"].split()[0] == "0"
    plainly.check(str(image), "qcow2")
    assert plainly.virtual_bytes(str(image), "qcow2") == SIZE
