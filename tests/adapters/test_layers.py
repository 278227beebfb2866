"""The images of VMs at their host: chains that libvirt vouches for, and what it does not."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from labpanel.adapters.errors import AdapterError
from labpanel.adapters.images import qemu_img
from labpanel.adapters.images.image_host import ImageHost
from labpanel.adapters.libvirt.xml import backup_xml
from labpanel.adapters.ssh.machine import Machine
from labpanel.adapters.ssh.session import ScriptRefused
from labpanel.lib.disks import Below
from labpanel.lib.shapes import PANEL

SIZE = 1 << 20
SECRET = b"root:$6$SECRETHASH:19000" * 1000


@pytest.fixture
def disks(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    return folder


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "root" / "secret"
    path.parent.mkdir()
    path.write_bytes(SECRET)
    path.chmod(0o600)
    return path


def image(path: Path, below: str = "", form: str = "qcow2") -> Path:
    words = ["qemu-img", "create", "-q", "-f", "qcow2"]
    words += ["-u", "-b", below, "-F", form] if below else []
    subprocess.run([*words, str(path), str(SIZE)], check=True, timeout=30)
    return path


def served(images: ImageHost, path: Path, below: Below | None, *, form: str = "qcow2") -> bytes:
    """The first bytes of what it shows."""
    socket = images.serve("vda", str(path), form, writable=False, below=below)
    out = path.with_name("out")
    url = f"nbd+unix:///vda?socket={socket}"
    words = ["qemu-img", "convert", "-f", "raw", "-O", "raw", url, str(out)]
    subprocess.run(words, check=True, timeout=30)
    images.stop(socket)
    return out.read_bytes()[:512]


FOREIGN: dict[str, tuple[str, str]] = {
    "absolute": ("{secret}", "raw"),
    "relative": ("../root/secret", "raw"),
    "json": ('json:{{"driver":"raw","file":{{"driver":"file","filename":"{secret}"}}}}', "raw"),
    "address": ("nbd://127.0.0.1:1/x", "raw"),
    "web": ("https://127.0.0.1:1/x", "raw"),
    "fifo": ("fifo", "raw"),
    "link": ("link", "raw"),
    "no format": ("base", ""),
    "odd format": ("base", "vmdk"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_what_libvirt_does_not_vouch_for_is_refused(
    images: ImageHost, disks: Path, secret: Path, name: str
) -> None:
    os.mkfifo(disks / "fifo")
    (disks / "link").symlink_to(secret)
    (disks / "base").write_bytes(bytes(SIZE))
    backing, form = FOREIGN[name]
    top = disks / "web.qcow2"
    image(top, backing.format(secret=secret), form or "raw")
    if not form:
        found = top.read_bytes()
        at = found.index(b"\xe2\x79\x2a\xca")  # the extension that names the format
        top.write_bytes(found[:at] + bytes(4) + found[at + 4 :])
    for below in (None, Below(), Below(folders=(str(disks), "/nowhere"))):
        with pytest.raises(ScriptRefused) as refusal:
            images.serve("vda", str(top), "qcow2", writable=False, below=below)
        assert refusal.value.code == "unreadable"
        assert refusal.value.sentence.startswith(str(disks))


def test_a_chain_that_libvirt_names_is_opened(images: ImageHost, disks: Path, secret: Path) -> None:
    middle = image(disks / "middle.qcow2", str(secret), "raw")
    top = image(disks / "web.qcow2", str(middle))
    named = ((str(middle), "qcow2"), (str(secret), "raw"))
    assert served(images, top, Below(named)) == SECRET[:512]
    with pytest.raises(ScriptRefused, match="and libvirt says on"):
        served(images, top, Below((named[1],)))
    # libvirt opens nothing below an image of which it says that it is the last.
    assert served(images, top, Below((("", ""),))) == bytes(512)
    with pytest.raises(ScriptRefused, match="nor a storage pool of libvirt holds"):
        served(images, top, Below(named[:1]))


def test_a_chain_in_a_storage_pool_is_opened(images: ImageHost, disks: Path) -> None:
    """As external snapshots and linked clones leave it; a VM that is off does not name it."""
    pool = disks.with_name("pool")
    pool.mkdir()
    base = pool / "base.raw"
    base.write_bytes(b"base" * (SIZE // 4))
    middle = image(disks / "middle.qcow2", str(base), "raw")
    top = image(disks / "web.qcow2", "middle.qcow2")
    assert served(images, top, Below(folders=(str(disks), str(pool)))) == b"base" * 128
    with pytest.raises(ScriptRefused, match=f"{middle} cannot be opened: it is based on"):
        served(images, top, Below(folders=(str(disks),)))


def test_a_raw_image_is_read_as_raw_whatever_it_holds(
    images: ImageHost, disks: Path, secret: Path
) -> None:
    top = image(disks / "web.raw", str(secret), "raw")  # a guest may write a header there
    assert served(images, top, Below(), form="raw") == top.read_bytes()[:512]


def data_file(path: Path, secret: Path) -> None:
    options = f"data_file={secret}.data"
    words = ["qemu-img", "create", "-q", "-f", "qcow2", "-o", options, str(path), str(SIZE)]
    subprocess.run(words, check=True, timeout=30)


def fifo(path: Path, secret: Path) -> None:
    os.mkfifo(path)


def folder(path: Path, secret: Path) -> None:
    path.mkdir()


def device(path: Path, secret: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [data_file, fifo, folder, device], ids=lambda make: make.__name__)
def test_what_is_no_image_is_refused(
    images: ImageHost, disks: Path, secret: Path, make: Callable[[Path, Path], None]
) -> None:
    make(disks / "web.qcow2", secret)
    for below in (None, Below(folders=(str(disks),))):
        with pytest.raises(ScriptRefused) as refusal:
            images.serve("vda", str(disks / "web.qcow2"), "qcow2", writable=False, below=below)
        assert refusal.value.code == "unreadable"


def test_the_inventory_reads_headers_and_opens_nothing_they_name(
    qemu: None, disks: Path, secret: Path
) -> None:
    os.mkfifo(disks / "fifo")
    base = image(disks / "base.qcow2", str(disks / "fifo"), "raw")
    top = image(disks / "web.qcow2", "base.qcow2")
    machine = Machine(PANEL)
    found = qemu_img.info(machine, str(top), "qcow2", deadline=20)
    assert found.capacity == SIZE
    assert found.backing_chain == (str(base), str(disks / "fifo"))
    assert found.allocation == top.stat().st_blocks * 512
    raw = disks / "odd.raw"
    raw.write_bytes(bytes(1000))
    assert qemu_img.info(machine, str(raw), "raw", deadline=20).capacity == 1024
    for path, form in ((disks / "fifo", "raw"), (raw, "qcow2"), (raw, "vmdk"), (disks, "raw")):
        with pytest.raises(AdapterError):
            qemu_img.info(machine, str(path), form, deadline=20)


def test_the_chain_of_a_domain_xml() -> None:
    (disk,) = backup_xml.source_disks("""<domain><devices><disk type='file' device='disk'>
        <driver name='qemu' type='qcow2'/><source file='/srv/a'/><target dev='vda'/>
        <backingStore type='file'><format type='qcow2'/><source file='/srv/b'/>
          <backingStore type='block'><format type='raw'/><source dev='/dev/vg/c'/>
            <backingStore type='network'><format type='raw'/><source protocol='nbd'/>
              <backingStore/></backingStore></backingStore></backingStore>
        </disk></devices></domain>""")
    assert disk.chain == (
        *(("/srv/b", "qcow2"), ("/dev/vg/c", "raw"), ("a network source", "raw")),
        ("", ""),
    )
