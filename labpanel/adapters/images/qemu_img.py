"""An image on a machine: its sizes and what lies below it, by onhost/images/image_look.py."""

from dataclasses import dataclass

from labpanel.adapters.answers import safe_json
from labpanel.adapters.answers.safe_json import UnsafeJson
from labpanel.adapters.errors import AdapterError
from labpanel.adapters.ssh.machine import Machine
from labpanel.adapters.ssh.session import run_bundle
from labpanel.lib import closed
from labpanel.lib.closed import Odd

# libvirt follows a chain for 200 layers (VIR_STORAGE_MAX_CHAIN_DEPTH).
_MOST_LAYERS, _MOST_PATH = 256, 4096
_LOOK = "images.image_look"


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """Sizes in bytes; `backing_chain` are the paths below the top, `inode` is the top file's own, 0
    if that is none."""

    capacity: int
    allocation: int
    backing_chain: tuple[str, ...]
    inode: int = 0


def info(machine: Machine, path: str, fmt: str, *, deadline: float) -> ImageInfo:
    """Look at headers alone, which needs no lock and opens nothing that they name. Raises an
    AdapterError.

    The format is given, never guessed: a raw image may hold anything a guest wrote.
    """
    output = run_bundle(machine, _LOOK, [path, fmt], deadline=deadline)
    try:
        said = closed.items(safe_json.parse(output.stdout), "layers", most=_MOST_LAYERS)
        layers = [closed.entries(layer, "layer") for layer in said]
        if not layers:
            raise Odd("it has no layers")
        return ImageInfo(
            capacity=closed.whole(closed.of(layers[0], "virtual-size"), "size"),
            allocation=closed.whole(layers[0].get("actual-size", 0), "allocation"),
            backing_chain=tuple(
                closed.text(closed.of(layer, "filename"), "name", most=_MOST_PATH)
                for layer in layers[1:]
            ),
            inode=closed.whole(layers[0].get("inode", 0), "inode"),
        )
    except (UnsafeJson, Odd) as broken:
        raise AdapterError(f"The answer about {path} makes no sense.", output.text) from broken


def put_over(machine: Machine, path: str, socket: str, export: str, *, deadline: float) -> None:
    """Let an empty qcow2 image show what an NBD export shows, which is not opened for it (-u)."""
    below = f"nbd+unix:///{export}?socket={socket}"
    words = ["qemu-img", "rebase", "-u", "-f", "qcow2", "-b", below, "-F", "raw", "--", path]
    machine.run(words, deadline=deadline)
