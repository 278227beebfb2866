"""Prunes a store again and again, killed with SIGKILL at every step of it. A program: it needs the
distribution's Python with libnbd.

A step is whatever changes something: a rename, a removal, a program that is run (killed before it,
and while it runs). After each kill what stays must read as it did, and the next prune must end it.
"""

import contextlib
import ctypes
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labpanel.onhost.images import exporter
from labpanel.onhost.store import keeper, pruner
from tests.adapters import generations
from tests.adapters.generations import BLOCK, VM, Made, changed

if TYPE_CHECKING:
    from collections.abc import Callable

IDS = ("panel-one", "store-one")
_SUBREAPER = 36  # linux/prctl.h
CHANGES = ("replace", "unlink", "rmdir", "ftruncate")


class Steps:
    """Counts what the program does, and kills it at number `fatal`; 0 never does. A merge is killed
    some time after it has begun."""

    def __init__(self, fatal: int) -> None:
        self._left = fatal
        for name in CHANGES:
            self._wrap(os, name)
        self._wrap(subprocess, "run")

    def _wrap(self, module: Any, name: str) -> None:
        real: Callable[..., Any] = getattr(module, name)

        def counted(*words: Any, **more: Any) -> Any:
            self._count(merging="commit" in str(words[0]))
            return real(*words, **more)

        setattr(module, name, counted)

    def _count(self, *, merging: bool) -> None:
        self._left -= 1
        if self._left == 0 and merging:
            signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
            signal.setitimer(signal.ITIMER_REAL, random.uniform(0.001, 0.02))
        elif self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def pruned(store: Path, drop: list[str], fatal: int) -> bool:
    """Prune in a child that is killed; whether it came to its end."""
    child = os.fork()
    if child == 0:
        Steps(fatal)
        try:
            pruner.prune(str(store), *IDS, VM, drop)
        finally:
            exporter.stop_all()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    with contextlib.suppress(ChildProcessError):
        while True:  # its own children are killed with it, and become ours
            os.waitpid(-1, 0)
    assert status in {0, signal.SIGKILL}, status
    return status == 0


def store_of(place: Path) -> tuple[Made, list[str], list[str]]:
    """Five generations of a disk, of which two go, the oldest among them; a second disk that comes
    later, and whose first copy goes. What is there, what goes, what stays."""
    generations.init(place)
    chance = random.Random(5)
    made, vda, vdb = Made(place, chance), bytes(3 * BLOCK + 512), bytes(2 * BLOCK)
    for number in range(5):
        vda, vdb = changed(chance, vda, 2), changed(chance, vdb, 1)
        made.add({"vda": vda} if number < 2 else {"vda": vda, "vdb": vdb})
    keys = list(made.held)
    drop = [keys[0], keys[2]]
    return made, drop, [key for key in keys if key not in drop]


def look(made: Made, stay: list[str]) -> None:
    """What a look at the store says between a kill and the next prune."""
    seen = {entry.key: entry for entry in keeper.seen(str(made.store), *IDS).generations}
    for key in stay:
        assert not seen[key].damage, seen[key]


def once(pristine: Made, drop: list[str], stay: list[str], fatal: int) -> bool:
    """Whether it came to its end before it was killed."""
    place = Path(tempfile.mkdtemp(dir=pristine.store.parent))
    shutil.copytree(pristine.store, place, dirs_exist_ok=True)
    made = Made(place, random.Random(0), pristine.held)
    ended = pruned(place, drop, fatal)
    if not ended:
        made.assert_as_it_was(stay)
        look(made, stay)
        # A second kill while the first is taken up, then to the end.
        pruned(place, [key for key in drop if key in made.listed()], fatal=3)
        look(made, stay)
        pruned(place, [key for key in drop if key in made.listed()], fatal=0)
    assert made.listed() == stay, (made.listed(), stay)
    made.assert_sound(stay)
    assert sorted(path.name for path in made.folder.iterdir()) == sorted([".lock", *stay])
    shutil.rmtree(place)
    return ended


def main(folder: str, shard: int, shards: int) -> None:
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    # A killed script cannot remove its folder of sockets.
    vars(exporter)["folder"] = lambda: tempfile.mkdtemp(dir=folder)
    made, drop, stay = store_of(Path(folder) / "pristine")
    fatal = shard
    while True:
        fatal += shards
        if once(made, drop, stay, fatal):
            break
    sys.stdout.write(f"killed at {fatal - shards} steps\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
