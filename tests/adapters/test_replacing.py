"""Restores in place on this machine's own files: real images, real exports, kills at each step."""

import json
import os
import random
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from labpanel.adapters.images.differ import Differ, Difference
from labpanel.adapters.images.image_host import ImageHost
from labpanel.adapters.images.mover import Export, Tick
from labpanel.adapters.images.replacer import Exchange, Replacer
from labpanel.adapters.ssh.machine import Machine
from labpanel.adapters.ssh.session import ScriptRefused
from labpanel.adapters.store.prover import Prover
from labpanel.lib.shapes import PANEL
from labpanel.onhost.images import replacer as script
from tests.adapters.images import BLOCK, digests_of, fill, identical, shell


def ignore(_: Tick) -> None:
    """Progress that is not looked at."""


@pytest.fixture
def differ(qemu: None) -> Iterator[Differ]:
    with Differ(Machine(PANEL)) as started:
        yield started


@pytest.fixture
def replacer(qemu: None) -> Iterator[Replacer]:
    with Replacer(Machine(PANEL)) as started:
        yield started


class Scene:
    """A generation's content, its list of digests, and a VM's image that went on from there."""

    def __init__(self, folder: Path, seed: int, form: str, images: ImageHost) -> None:
        self.images, self.form = images, form
        self.kept, self.now = folder / "kept.raw", folder / "now.img"
        fill(self.kept, 24, seed, tail=512)
        self.size = self.kept.stat().st_size
        self.listed = folder / "vda.digests"
        head = json.dumps({"format": "labpanel digests 2"}).encode().ljust(4095) + b"\n"
        self.listed.write_bytes(head + b"".join(digests_of(self.kept)))
        changed = bytearray(self.kept.read_bytes())
        filled = [at for at in range(24) if any(changed[at * BLOCK : (at + 1) * BLOCK])]
        chance = random.Random(seed)
        self.changed = sorted({*chance.sample(range(24), 3), *chance.sample(filled, 2)})
        for block in self.changed:
            changed[block * BLOCK : block * BLOCK + 9] = b"different"
        raw = folder / "now.raw"
        raw.write_bytes(changed)
        shell("qemu-img", "convert", "-f", "raw", "-O", form, raw, self.now)
        self.one = Exchange(
            "vda", form, str(self.now), f"{self.now}.new", f"{self.now}.replaced-then"
        )

    def passed(self, differ: Differ, *, fetch: bool) -> Difference:
        images = self.images
        target = images.serve("vda", self.one.new, self.form, writable=fetch)
        listed = images.serve("list", str(self.listed), "raw", writable=False)
        source = images.serve("vda", str(self.kept), "raw", writable=False)
        there, digests = Export(target, "vda"), Export(listed, "list")
        try:
            if fetch:
                content = Export(source, "vda")
                return differ.fetch(there, digests, content, self.size, on_progress=ignore)
            return differ.prove(there, digests, self.size, on_progress=ignore)
        finally:
            for socket in (target, listed, source):
                images.stop(socket)


@pytest.mark.parametrize("form", ["raw", "qcow2"])
@pytest.mark.parametrize("seed", range(3))
def test_only_blocks_that_differ_are_fetched(
    images: ImageHost, differ: Differ, replacer: Replacer, tmp_path: Path, form: str, seed: int
) -> None:
    scene = Scene(tmp_path, seed, form, images)
    assert replacer.begin(scene.one, scene.size) == ""
    before = scene.passed(differ, fetch=False)
    assert before.bad
    done = scene.passed(differ, fetch=True)
    content = scene.kept.read_bytes()
    sent = [block for block in scene.changed if any(content[block * BLOCK : (block + 1) * BLOCK])]
    assert done.sent_bytes == len(sent) * BLOCK
    proven = scene.passed(differ, fetch=False)
    assert (proven.bad, proven.sent_bytes) == ([], 0)
    assert identical(scene.kept, Path(scene.one.new))


def test_a_rotten_source_is_never_written(
    images: ImageHost, differ: Differ, replacer: Replacer, tmp_path: Path
) -> None:
    scene = Scene(tmp_path, 1, "raw", images)
    replacer.begin(scene.one, scene.size)
    content = scene.kept.read_bytes()
    filled = [at for at in scene.changed if any(content[at * BLOCK : (at + 1) * BLOCK])]
    with scene.kept.open("r+b") as file:
        file.seek(filled[0] * BLOCK)
        file.write(b"rotten")
    with pytest.raises(ScriptRefused, match="is not what was backed up"):
        scene.passed(differ, fetch=True)


def test_an_image_that_is_gone_comes_as_a_whole(
    images: ImageHost, differ: Differ, replacer: Replacer, tmp_path: Path
) -> None:
    scene = Scene(tmp_path, 2, "qcow2", images)
    scene.now.unlink()
    assert "now.img cannot be opened" in replacer.begin(scene.one, scene.size)
    scene.passed(differ, fetch=True)
    assert scene.passed(differ, fetch=False).bad == []
    assert replacer.swap([scene.one]) == []
    assert identical(scene.kept, scene.now)


def test_nothing_is_built_upon_an_image_that_qemu_marked_as_corrupt(
    images: ImageHost, differ: Differ, replacer: Replacer, tmp_path: Path
) -> None:
    """QEMU refuses to write to such an image, and a copy of it bears the mark too."""
    scene = Scene(tmp_path, 4, "qcow2", images)
    with scene.now.open("r+b") as file:
        file.seek(79)
        bits = file.read(1)[0]
        file.seek(79)
        file.write(bytes([bits | 2]))
    assert "has marked" in replacer.begin(scene.one, scene.size)
    scene.passed(differ, fetch=True)
    assert scene.passed(differ, fetch=False).bad == []
    assert replacer.swap([scene.one]) == [scene.one.aside]
    assert identical(scene.kept, scene.now)


def test_another_size_and_old_bitmaps_do_not_come_along(
    images: ImageHost, differ: Differ, replacer: Replacer, tmp_path: Path
) -> None:
    scene = Scene(tmp_path, 3, "qcow2", images)
    shell("qemu-img", "bitmap", "--add", "-f", "qcow2", scene.now, "old")
    shell("qemu-img", "resize", "-q", "-f", "qcow2", scene.now, "+1M")
    assert replacer.begin(scene.one, scene.size) == ""
    assert images.virtual_bytes(scene.one.new, "qcow2") == scene.size
    assert "bitmap" not in shell("qemu-img", "info", scene.one.new)


def set_of(folder: Path, count: int) -> list[Exchange]:
    folder.mkdir()
    found = []
    for number in range(count):
        one = Exchange(
            f"vd{number}",
            "raw",
            str(folder / f"{number}.raw"),
            str(folder / f".new-{number}"),
            str(folder / f"{number}.raw.replaced-then"),
        )
        Path(one.path).write_text(f"old {number}")
        Path(one.new).write_text(f"new {number}")
        found.append(one)
    return found


def state_of(exchanges: list[Exchange]) -> list[str]:
    """What the VM's paths hold: old, new or nothing."""
    found = []
    for one in exchanges:
        path = Path(one.path)
        found.append(path.read_text().split()[0] if path.exists() else "nothing")
    return found


class Killed(BaseException):
    """The process ended here."""


def swapped(exchanges: list[Exchange], kill_at: int, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Swap, ended before the n-th change of a name; whether it came to the end."""
    count = [0]

    def counted(real: Any) -> Any:
        def change(*words: Any, **more: Any) -> Any:
            count[0] += 1
            if count[0] == kill_at:
                raise Killed
            return real(*words, **more)

        return change

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", counted(os.link))
        patch.setattr(Path, "replace", counted(Path.replace))
        patch.setattr(Path, "unlink", counted(Path.unlink))
        patch.setattr(script, "_info", lambda *_: {})
        try:
            script.swap([asdict(one) for one in exchanges])
        except Killed:
            return False
    return True


@pytest.mark.parametrize("disks", [1, 2, 3])
def test_killed_at_any_step_the_disks_are_never_mixed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disks: int
) -> None:
    for kill_at in range(1, 40):
        exchanges = set_of(tmp_path / str(kill_at), disks)
        ended = swapped(exchanges, kill_at, monkeypatch)
        state = state_of(exchanges)
        assert "nothing" in state or len(set(state)) == 1, (kill_at, state)
        if ended:
            break
        assert swapped(exchanges, 0, monkeypatch)
        assert state_of(exchanges) == ["new"] * disks
        assert [Path(one.aside).read_text() for one in exchanges] == [
            f"old {number}" for number in range(disks)
        ]
        assert not any(Path(one.new).exists() for one in exchanges)
    assert ended
    assert kill_at > disks


def test_a_name_that_is_taken_is_never_written_over(replacer: Replacer, tmp_path: Path) -> None:
    (one,) = set_of(tmp_path / "set", 1)
    Path(one.aside).write_text("precious")
    with pytest.raises(ScriptRefused, match="exists already"):
        replacer.swap([one])
    assert Path(one.aside).read_text() == "precious"
    assert Path(one.path).read_text() == "old 0"


def test_the_prover_agrees_on_the_list(
    images: ImageHost, prover: Prover, differ: Differ, replacer: Replacer, tmp_path: Path
) -> None:
    """Two programs, one meaning of a digest."""
    scene = Scene(tmp_path, 4, "raw", images)
    socket = images.serve("vda", str(scene.kept), "raw", writable=False)
    checked = prover.content(Export(socket, "vda"), str(scene.listed), on_progress=ignore)
    replacer.begin(scene.one, scene.size)
    assert (checked.bad, checked.root) == ([], scene.passed(differ, fetch=True).root)
