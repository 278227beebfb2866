"""What a stranger may put into a store: images that name other files, and links. None of it is
opened, and nothing of the machine's other files is read."""

import os
import random
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from labpanel.adapters.images.mover import Export
from labpanel.adapters.ssh.machine import Machine
from labpanel.adapters.ssh.session import ScriptRefused
from labpanel.adapters.store.keeper import Keeper
from labpanel.adapters.store.prover import Prover
from labpanel.lib.shapes import PANEL
from tests.adapters.generations import VM, Made, changed, init, run

SIZE = 3 * 256 * 1024 + 1536
SECRET = b"root:$6$SECRET:19000" * 1000


@pytest.fixture
def made(qemu: None, tmp_path: Path) -> Made:
    """Three generations, each on top of the one before."""
    init(tmp_path / "store")
    store = Made(tmp_path / "store", random.Random(3))
    content = store.chance.randbytes(SIZE)
    for _ in range(3):
        store.add({"vda": content})
        content = changed(store.chance, content, 2)
    return store


@pytest.fixture
def keeper(made: Made) -> Iterator[Keeper]:
    with Keeper(Machine(PANEL), str(made.store), "panel-one", "store-one") as opened:
        yield opened


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_bytes(SECRET)
    path.chmod(0o600)
    return path


def newest(made: Made, file: str = "vda.qcow2") -> Path:
    return made.folder / max(made.held) / file


def serve(keeper: Keeper, image: Path) -> str:
    return keeper.serve("vda", str(image))


def rebased(image: Path, backing: str, form: str = "raw") -> None:
    run(["qemu-img", "rebase", "-u", "-f", "qcow2", "-b", backing, "-F", form, str(image)])


def test_an_ordinary_chain_reads_as_it_was_backed_up(
    made: Made, keeper: Keeper, prover: Prover
) -> None:
    for key in made.held:
        image = made.folder / key / "vda.qcow2"
        found = prover.content(
            Export(serve(keeper, image), "vda"),
            str(image.with_suffix(".digests")),
            on_progress=lambda _: None,
        )
        assert found.bad == []
        assert keeper.content_bytes(str(image)) > 0


FOREIGN = {
    "absolute": ("{secret}", "raw"),
    "relative": ("../../../secret", "raw"),
    "json": ('json:{{"driver":"raw","file":{{"driver":"file","filename":"{secret}"}}}}', "raw"),
    "address": ("nbd://127.0.0.1:1/x", "raw"),
    "web": ("https://127.0.0.1:1/x", "raw"),
    "ssh": ("ssh://root@127.0.0.1/etc/shadow", "raw"),
    "fifo": ("{fifo}", "raw"),
    "its parent by another way": ("{store}/{parent}/vda.qcow2", "qcow2"),
    "its parent as raw": ("../{parent}/vda.qcow2", "raw"),
    "its grandparent": ("../{grand}/vda.qcow2", "qcow2"),
    "another disk": ("../{parent}/vdb.qcow2", "qcow2"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_an_image_on_anything_but_its_parent_is_refused(
    made: Made, keeper: Keeper, secret: Path, name: str
) -> None:
    grand, parent, _ = sorted(made.held)
    fifo = secret.with_name("fifo")
    os.mkfifo(fifo)
    backing, form = FOREIGN[name]
    rebased(
        newest(made),
        backing.format(secret=secret, fifo=fifo, store=made.folder, parent=parent, grand=grand),
        form,
    )
    for ask in (
        lambda: serve(keeper, newest(made)),
        lambda: keeper.content_bytes(str(newest(made))),
    ):
        with pytest.raises(ScriptRefused) as refusal:
            ask()
        assert refusal.value.code == "unreadable"
        assert f"its manifest says on ../{parent}/vda.qcow2" in refusal.value.sentence
    older = made.folder / parent / "vda.qcow2"
    keeper.stop(serve(keeper, older))  # the neighbours are as usable as before


def test_a_chain_is_refused_at_any_depth(made: Made, keeper: Keeper, secret: Path) -> None:
    oldest = made.folder / min(made.held) / "vda.qcow2"
    rebased(oldest, str(secret))
    with pytest.raises(ScriptRefused, match="its manifest says on nothing"):
        serve(keeper, newest(made))


def test_a_data_file_is_refused(made: Made, keeper: Keeper, secret: Path) -> None:
    image = newest(made)
    image.unlink()
    options = f"data_file={secret}.qcow2-data,data_file_raw=on"
    run(["qemu-img", "create", "-q", "-f", "qcow2", "-o", options, str(image), str(SIZE)])
    Path(f"{secret}.qcow2-data").write_bytes(SECRET)
    with pytest.raises(ScriptRefused, match="it keeps its data in another file"):
        serve(keeper, image)


@pytest.mark.parametrize("method", [1, 2])
def test_an_encrypted_image_is_refused(made: Made, keeper: Keeper, method: int) -> None:
    with newest(made).open("r+b") as image:
        image.seek(32)  # crypt_method: AES, LUKS
        image.write(struct.pack(">I", method))
    with pytest.raises(ScriptRefused, match="it is encrypted"):
        serve(keeper, newest(made))


def link_to_image(made: Made) -> str:
    image = newest(made)
    image.rename(made.store / "elsewhere.qcow2")
    image.symlink_to(made.store / "elsewhere.qcow2")
    return "symbolic link"


def link_to_folder(made: Made) -> str:
    place = newest(made).parent
    place.rename(made.store / "elsewhere")
    place.symlink_to(made.store / "elsewhere")
    return "symbolic link"


def link_to_parent(made: Made) -> str:
    place = made.folder / sorted(made.held)[1]
    place.rename(made.store / "elsewhere")
    place.symlink_to(made.store / "elsewhere")
    return "symbolic link"


def link_to_vm(made: Made) -> str:
    made.folder.rename(made.store / "elsewhere")
    made.folder.symlink_to(made.store / "elsewhere")
    return "symbolic link"


def fifo(made: Made) -> str:
    newest(made).unlink()
    os.mkfifo(newest(made))
    return "not a regular file"


def folder(made: Made) -> str:
    newest(made).unlink()
    newest(made).mkdir()
    return "not a regular file"


def rubbish(made: Made) -> str:
    newest(made).write_bytes(made.chance.randbytes(5000))
    return "not a qcow2 image"


def nothing(made: Made) -> str:
    newest(made).write_bytes(b"")
    return "not a qcow2 image"


def vmdk(made: Made) -> str:
    newest(made).write_text('# Disk DescriptorFile\nRW 2048 FLAT "/etc/shadow" 0\n')
    return "not a qcow2 image"


def ring(made: Made) -> str:
    oldest, *_ = sorted(made.held)
    manifest = made.manifest(oldest)
    manifest["disks"][0]["parent"] = max(made.held)
    made.rewrite(oldest, manifest)
    return "backs on itself"


ODD = (
    *(link_to_image, link_to_folder, link_to_parent, link_to_vm),
    *(fifo, folder, rubbish, nothing, vmdk, ring),
)


@pytest.mark.parametrize("harm", ODD, ids=lambda harm: harm.__name__)
def test_what_is_no_image_of_the_store_is_refused(
    made: Made, keeper: Keeper, harm: Callable[[Made], str]
) -> None:
    why = harm(made)
    with pytest.raises(ScriptRefused, match=why) as refusal:
        serve(keeper, newest(made))
    assert refusal.value.code == "unreadable"


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (4, struct.pack(">I", 9)),  # the version
        (8, struct.pack(">Q", 1 << 40)),  # where the backing file's name lies
        (16, struct.pack(">I", 1 << 30)),  # how long it is
        (20, struct.pack(">I", 63)),  # bits of a cluster
        (72, struct.pack(">Q", 1 << 2)),  # the bit of an external data file
        (100, struct.pack(">I", 1 << 31)),  # the length of the header
        (116, struct.pack(">I", 1 << 31)),  # the length of an extension
    ],
)
def test_a_header_that_lies_is_refused(made: Made, keeper: Keeper, at: int, value: bytes) -> None:
    with newest(made).open("r+b") as image:
        image.seek(at)
        image.write(value)
    with pytest.raises(ScriptRefused) as refusal:
        serve(keeper, newest(made))
    assert refusal.value.code == "unreadable"


def test_a_chain_that_is_too_long_is_refused(made: Made, keeper: Keeper) -> None:
    first, key = sorted(made.held)[:2]
    manifest, image = made.manifest(key), (made.folder / key / "vda.qcow2").read_bytes()
    before = first
    for number in range(100):
        parent, before = before, f"20261201T00{number // 60:02}{number % 60:02}Z-{number:06x}"
        (made.folder / before).mkdir()
        fresh = image.replace(first.encode(), parent.encode())
        (made.folder / before / "vda.qcow2").write_bytes(fresh)
        disk = {**manifest["disks"][0], "parent": parent}
        made.rewrite(before, {**manifest, "generation": before, "disks": [disk]})
    with pytest.raises(ScriptRefused, match="more than 100 images"):
        serve(keeper, made.folder / before / "vda.qcow2")
    keeper.stop(serve(keeper, made.folder / parent / "vda.qcow2"))


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "{store}/../secret",
        "{store}/{vm}/../../secret.qcow2",
        "{store}/{vm}/{key}/../{key}/vda.qcow2",
        "{store}/{vm}/{key}/domain.xml",
        "{store}/{vm}/.{key}.partial/vda.qcow2",
        "{store}/{upper}/{key}/vda.qcow2",
    ],
)
def test_no_other_path_is_served(made: Made, keeper: Keeper, path: str) -> None:
    key = max(made.held)
    asked = path.format(store=made.store, vm=VM, key=key, upper="1" * 32)
    for ask in (keeper.serve, keeper.serve_list):
        with pytest.raises(ScriptRefused):
            ask("vda", asked)


def test_a_manifest_that_cannot_be_read_needs_the_panels_word(made: Made, keeper: Keeper) -> None:
    grand, parent, _ = sorted(made.held)
    (made.folder / parent / "manifest.json").write_bytes(b"rotten")
    with pytest.raises(ScriptRefused, match="is not what was written"):
        serve(keeper, newest(made))
    with pytest.raises(ScriptRefused, match="its manifest says on nothing"):
        keeper.serve("vda", str(newest(made)), {parent: None})
    keeper.stop(keeper.serve("vda", str(newest(made)), {parent: grand, grand: None}))


def test_nothing_is_left_open_after_a_refusal(made: Made, keeper: Keeper, secret: Path) -> None:
    keeper.stop(serve(keeper, newest(made)))  # the program runs from now on
    opened = Path(f"/proc/{keeper._session._process.pid}/fd")
    before = len(list(opened.iterdir()))
    rebased(made.folder / min(made.held) / "vda.qcow2", str(secret))
    for _ in range(3):
        with pytest.raises(ScriptRefused):
            serve(keeper, newest(made))
    assert len(list(opened.iterdir())) == before


def test_a_lock_is_never_made_through_a_link(made: Made, keeper: Keeper, tmp_path: Path) -> None:
    (made.folder / ".lock").symlink_to(tmp_path / "made-by-root")
    with pytest.raises(ScriptRefused, match="symbolic link"):
        keeper.lock(VM, exclusive=False)
    other = "22222222-2222-4333-8444-555555555555"
    (made.store / other).symlink_to(tmp_path)
    with pytest.raises(ScriptRefused, match="is a symbolic link"):
        keeper.lock(other, exclusive=True)
    assert not (tmp_path / "made-by-root").exists()
    assert not (tmp_path / ".lock").exists()
