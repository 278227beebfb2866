"""`qemu-img info` on a machine: an image's sizes and what lies below it."""

import json
from dataclasses import dataclass

from labpanel.adapters.errors import AdapterError
from labpanel.adapters.machine import Machine


@dataclass(frozen=True, slots=True)
class Image:
    """Sizes in bytes; `backing_chain` are the paths below the top."""

    capacity: int
    allocation: int
    backing_chain: tuple[str, ...]


def info(machine: Machine, path: str, fmt: str, *, deadline: float) -> Image:
    """Look without a lock (-U), so that a running VM is not in the way. Raises an AdapterError.

    The format is given, never guessed: a raw image may hold anything a guest wrote.
    """
    words = ["qemu-img", "info", "-U", "--backing-chain", "--output=json", "-f", fmt, "--", path]
    output = machine.run(words, deadline=deadline)
    try:
        layers = json.loads(output.text)
        return Image(
            capacity=layers[0]["virtual-size"],
            allocation=layers[0].get("actual-size", 0),
            backing_chain=tuple(layer["filename"] for layer in layers[1:]),
        )
    except (ValueError, KeyError, IndexError) as broken:
        raise AdapterError(f"qemu-img said nothing sensible of {path}.", output.text) from broken


def content_bytes(machine: Machine, path: str, *, deadline: float) -> int:
    """Bytes that the content of a qcow2 image, with what lies below it, needs as an image of its
    own: data and metadata, not the holes (`qemu-img measure`). Raises an AdapterError."""
    words = ["qemu-img", "measure", "--output=json", "-O", "qcow2", "-f", "qcow2", "--", path]
    output = machine.run(words, deadline=deadline)
    try:
        return int(json.loads(output.text)["required"])
    except (ValueError, KeyError) as broken:
        raise AdapterError(f"qemu-img said nothing sensible of {path}.", output.text) from broken


def put_over(machine: Machine, path: str, socket: str, export: str, *, deadline: float) -> None:
    """Let an empty qcow2 image show what an NBD export shows, which is not opened for it (-u)."""
    below = f"nbd+unix:///{export}?socket={socket}"
    words = ["qemu-img", "rebase", "-u", "-f", "qcow2", "-b", below, "-F", "raw", "--", path]
    machine.run(words, deadline=deadline)
