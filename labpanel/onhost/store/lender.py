"""The lender of a VM that runs on blocks of a generation: an attendant on the store's machine.

QEMU's export of the stored images is reached by this program alone; what it hands out was held
against the generation's digests (checked.py). Needs python3-libnbd.
"""

import threading
from pathlib import Path
from typing import Any

from labpanel.onhost.blocks.blocks import Side
from labpanel.onhost.runtime import confined
from labpanel.onhost.store import checked, persistent_exports, stored

_MOST_BAD = 1000  # blocks told of one disk
_servers: list[Any] = []


def lend(folder: Path, export: dict[str, Any]) -> persistent_exports.Child:
    """`export["stored"]` is `{"store", "path", "known", "root", "virtual_bytes"}`: the image, what
    the panel knows of parents, and the digest over the list of digests. Raises Problem."""
    confined.root_in(str(folder))
    asked, name = export["stored"], export["name"]
    place, key, target = stored.located(asked["store"], asked["path"], ".qcow2")
    listed = checked.trusted_list(place / key / f"{target}.digests", asked["root"])
    inner = f"{name}.stored"
    with stored.opened(place, key, target, asked["known"]) as stack:
        reach = confined.OpenFiles(stack.handles, places=[str(folder)])
        child = persistent_exports.started(
            folder, inner, name, stack.node(), stack.handles, stack.named, confined.before(reach)
        )
    source = Side(str(folder / inner), name)
    disk = checked.Checked(source, listed, asked["virtual_bytes"], _Bad(folder, name))
    (folder / export["socket"]).unlink(missing_ok=True)
    _servers.append(checked.serve(folder / export["socket"], name, disk))
    return child


class _Bad:
    """Writes down blocks that were not handed out, each once."""

    def __init__(self, folder: Path, name: str) -> None:
        self._path, self._name = folder / persistent_exports.BAD, name
        self._known: set[int] = set()
        self._lock = threading.Lock()

    def __call__(self, start: int) -> None:
        with self._lock:
            if start in self._known or len(self._known) == _MOST_BAD:
                return
            self._known.add(start)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"{self._name} {start}\n")


def main() -> None:
    persistent_exports.main(lend)
