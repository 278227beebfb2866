"""Files beside a VM, by the real scripts: read on a host, kept in a store, made on a host."""

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from labpanel.adapters.images.beside_host import BesideHost
from labpanel.adapters.ssh.machine import Machine
from labpanel.adapters.ssh.session import ScriptRefused
from labpanel.adapters.store.keeper import Keeper
from labpanel.adapters.store.mender import Mender
from labpanel.adapters.store.pruner import Pruner
from labpanel.lib import kept_files
from labpanel.lib.kept_files import PIECE
from labpanel.lib.shapes import PANEL
from labpanel.lib.store_format.found import AskedDisk
from labpanel.onhost.images import beside as script
from labpanel.onhost.runtime.wire import Problem
from tests.adapters.test_keeper import (  # noqa: F401 - fixtures
    KEY,
    LAST,
    NEXT,
    PANEL_ID,
    VM,
    keeper,
    store,
)
from tests.made_manifests import asked_disk, draft

MOST = 64 << 20
KERNEL = os.urandom(PIECE * 2 + 17)


def alive() -> None:
    """A job that goes on."""


@pytest.fixture
def host() -> Iterator[BesideHost]:
    with BesideHost(Machine(PANEL)) as opened:
        yield opened


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def moved(host: BesideHost, source: Path, target: Path) -> str:
    taken = host.take("kernel", str(source), MOST)
    made = host.make(str(target), host.pieces("kernel", taken.bytes), alive)
    assert host.leave("kernel")
    assert made == taken.sha256
    return made


@pytest.mark.parametrize("content", [KERNEL, b"", b"x", bytes(PIECE)])
def test_a_file_goes_piece_by_piece_and_arrives_whole(
    host: BesideHost, tmp_path: Path, content: bytes
) -> None:
    source = tmp_path / "it's a $(kernel)"
    source.write_bytes(content)
    link = tmp_path / "vmlinuz"
    link.symlink_to(source)  # as distributions have it in /
    target = tmp_path / "copy"
    assert moved(host, link, target) == sha(content)
    assert target.read_bytes() == content
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_nothing_that_exists_is_written_over(host: BesideHost, tmp_path: Path) -> None:
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_bytes(b"new")
    target.write_bytes(b"old")
    dangling = tmp_path / "c"
    dangling.symlink_to(tmp_path / "nowhere")
    host.take("kernel", str(source), MOST)
    for path in (target, dangling):
        with pytest.raises(ScriptRefused, match="exists already; nothing was written over it"):
            host.make(str(path), host.pieces("kernel", 3), alive)
    assert target.read_bytes() == b"old"
    assert not (tmp_path / "nowhere").exists()


def test_what_is_no_file_of_a_fit_size_is_refused_with_the_reason(
    host: BesideHost, tmp_path: Path
) -> None:
    large = tmp_path / "large"
    large.touch()
    os.truncate(large, MOST + 1)
    os.mkfifo(tmp_path / "pipe")
    for path, code in (
        (tmp_path / "none", "absent"),
        (large / "below", "absent"),
        (tmp_path, "odd"),
        (tmp_path / "pipe", "odd"),
        (Path("/dev/zero"), "odd"),
        (large, "large"),
    ):
        with pytest.raises(ScriptRefused) as refused:
            host.take("kernel", str(path), MOST)
        assert refused.value.code == code
        assert str(path) in refused.value.sentence


def test_a_file_that_is_replaced_meanwhile_is_read_as_it_was_and_a_rewritten_one_is_told(
    host: BesideHost, tmp_path: Path
) -> None:
    path = tmp_path / "kernel"
    path.write_bytes(b"one")
    host.take("kernel", str(path), MOST)
    (tmp_path / "next").write_bytes(b"another")
    (tmp_path / "next").replace(path)  # as package managers and swtpm do
    assert [bytes.fromhex(each) for _, each in host.pieces("kernel", 3)] == [b"one"]
    host.take("kernel", str(path), MOST)
    with path.open("r+b") as file:
        file.write(b"A")
    assert not host.leave("kernel")


def kept(
    host: BesideHost,
    keeper: Keeper,  # noqa: F811
    key: str,
    kernel: Path,
    before: str = "",
) -> bool:
    """A generation of one empty disk and this kernel; whether that was shared with `before`."""
    keeper.begin(VM, key, [AskedDisk("vda", PIECE)])
    taken = host.take("kernel", str(kernel), MOST)
    shared = bool(before) and keeper.borrow(VM, key, "kernel", before, taken.sha256)
    if not shared:
        keeper.write_small(VM, key, "kernel", host.pieces("kernel", taken.bytes))
    keeper.write_small(VM, key, "initrd", host.pieces("kernel", 5))  # given up
    manifest = draft(key, [asked_disk("vda", PIECE)], store_id=keeper._store_id, panel_id=PANEL_ID)
    made = keeper.finish(VM, key, manifest, {"domain.xml": "<domain/>"}, ["kernel"])
    assert made.digests_of_files == {"domain.xml": sha(b"<domain/>"), "kernel": taken.sha256}
    keeper.publish(VM, key, made)
    return shared


def test_the_store_keeps_it_once_and_gives_it_back(
    host: BesideHost,
    keeper: Keeper,  # noqa: F811
    store: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    kernel = tmp_path / "kernel"
    kernel.write_bytes(KERNEL)
    assert not kept(host, keeper, KEY, kernel)
    assert kept(host, keeper, NEXT, kernel, before=KEY)
    first, second = (store / VM / key / "kernel" for key in (KEY, NEXT))
    assert first.samefile(second)
    assert keeper.look().strangers == ()
    assert keeper.measure(VM, NEXT, ["kernel"]) == {"kernel": len(KERNEL)}
    pieces = keeper.read_small(VM, NEXT, "kernel", len(KERNEL))
    assert host.make(str(tmp_path / "back"), pieces, alive) == sha(KERNEL)
    with Pruner(Machine(PANEL), str(store), PANEL_ID, keeper._store_id) as pruner:
        pruner.lock(VM, exclusive=True)
        pruner.prune(VM, [KEY], on_progress=lambda _: None)
    assert not first.exists()
    assert keeper.rehash(VM, NEXT, {"kernel": sha(KERNEL)}, lambda _: None) == []


def test_a_rotten_kernel_is_not_shared_and_is_mended_apart_from_the_one_that_shares_it(
    host: BesideHost,
    keeper: Keeper,  # noqa: F811
    store: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    kernel = tmp_path / "kernel"
    kernel.write_bytes(KERNEL)
    kept(host, keeper, KEY, kernel)
    kept(host, keeper, NEXT, kernel, before=KEY)
    first, second = (store / VM / key / "kernel" for key in (KEY, NEXT))
    with first.open("r+b") as file:
        file.write(b"rot")
    assert not kept(host, keeper, LAST, kernel, before=KEY)
    assert keeper.rehash(VM, NEXT, {"kernel": sha(KERNEL)}, lambda _: None)
    with Mender(Machine(PANEL), str(store), PANEL_ID, keeper._store_id) as mender:
        for wrong in ([(0, b"other".hex())], keeper.read_small(VM, NEXT, "kernel", len(KERNEL))):
            with pytest.raises(ScriptRefused, match="the kernel that was found is another one"):
                mender.text(VM, NEXT, "kernel", wrong)
        assert second.read_bytes()[:3] == b"rot"
        mender.text(VM, NEXT, "kernel", keeper.read_small(VM, LAST, "kernel", len(KERNEL)))
    assert second.read_bytes() == KERNEL
    assert not first.samefile(second)


def test_no_link_in_a_store_is_followed(
    host: BesideHost,
    keeper: Keeper,  # noqa: F811
    store: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    kernel, secret = tmp_path / "kernel", tmp_path / "secret"
    kernel.write_bytes(KERNEL)
    secret.write_bytes(b"root only")
    kept(host, keeper, KEY, kernel)
    lying = store / VM / KEY / "kernel"
    lying.unlink()
    lying.symlink_to(secret)
    with pytest.raises(ScriptRefused, match="it is a symbolic link"):
        keeper.measure(VM, KEY, ["kernel"])
    with pytest.raises(ScriptRefused, match="it is a symbolic link"):
        next(keeper.read_small(VM, KEY, "kernel", 9))
    keeper.begin(VM, NEXT, [])
    assert not keeper.borrow(VM, NEXT, "kernel", KEY, sha(b"root only"))
    (store / VM / f".{NEXT}.partial" / "kernel").symlink_to(secret)
    keeper.write_small(VM, NEXT, "kernel", [(0, b"mine".hex())])
    assert secret.read_bytes() == b"root only"
    with pytest.raises(ScriptRefused, match="is not a name for a file of a generation"):
        keeper.write_small(VM, NEXT, "../../../secret", [(0, b"mine".hex())])


@pytest.fixture
def libvirt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """libvirt's folder for TPMs, and its qemu.conf, for functions of the script called here."""
    monkeypatch.setattr(kept_files, "SWTPM", str(tmp_path / "swtpm"))
    monkeypatch.setattr(script, "QEMU_CONF", str(tmp_path / "qemu.conf"))
    return tmp_path


def test_the_state_of_a_tpm_lies_as_libvirt_has_it(libvirt: Path) -> None:
    owner = (os.getuid(), os.getgid()) if os.getuid() else (1, 1)
    (libvirt / "qemu.conf").write_text(
        f'#swtpm_user = "nobody"\nswtpm_user = "{owner[0]}"\nswtpm_group = "+{owner[1]}"\n'
    )
    path = script.make_tpm(VM, "tpm2-00.permall")
    assert path == f"{libvirt}/swtpm/{VM}/tpm2/tpm2-00.permall"
    script.make(path)
    script.write(path, 0, b"sealed".hex())
    assert script.seal(path) == sha(b"sealed")
    script.own_tpm(VM)
    folder = Path(path).parent
    assert [stat.S_IMODE(each.stat().st_mode) for each in (folder.parent, folder)] == [0o711, 0o700]
    for each in (folder, Path(path)):
        assert (each.stat().st_uid, each.stat().st_gid) == owner
    with pytest.raises(Problem, match="exists already"):
        script.make_tpm(VM, "tpm2-00.permall")
    assert Path(path).read_bytes() == b"sealed"
    (folder / ".lock").touch()  # swtpm's, once it ran
    script.remove_tpm(VM)
    assert sorted(each.name for each in folder.iterdir()) == [".lock"]
    (folder / ".lock").unlink()
    script.remove_tpm(VM)
    assert list((libvirt / "swtpm").iterdir()) == []


def test_the_owner_of_a_tpm_is_libvirts_own_choice(
    libvirt: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {"tss": 107, "swtpm": 112}
    monkeypatch.setattr(script, "_uid", known.__getitem__)
    monkeypatch.setattr(script, "_gid", known.__getitem__)
    assert script._swtpm_owner() == (107, 107)  # without a qemu.conf
    (libvirt / "qemu.conf").write_text('swtpm_user = "swtpm"\n#swtpm_group = "root"\n')
    assert script._swtpm_owner() == (112, 107)
    known.clear()
    assert script._swtpm_owner() == (0, 0)


@pytest.mark.parametrize("uuid", ["../../etc", "", "x", "/etc"])
def test_no_uuid_leads_elsewhere(libvirt: Path, uuid: str) -> None:
    with pytest.raises(ValueError, match="badly formed"):
        script.make_tpm(uuid, "tpm2-00.permall")
