"""Disk images opened layer by layer: QEMU is told each file of a chain, and follows no name itself.

A layer is opened once, looked at (qcow2.py), and QEMU gets that very file by its descriptor, so
that nothing can be put in its place in between. What a header may name depends on where it lies:
in a store only the parent generation's image (stored.py), at a VM's host what libvirt knows
(`of_vm`), and where the panel made the image itself nothing (`own`). Standard library only.
"""

import json
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labpanel.onhost.images import qcow2
from labpanel.onhost.runtime import confined, inside
from labpanel.onhost.runtime.plain import opened, refused
from labpanel.onhost.runtime.wire import run

MOST_LAYERS = 100  # the panel itself makes chains of 30 (backups/rules/chains.py)
_FORMATS = ("raw", "qcow2")
_END = ("", "")
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True)
class Layer:
    """One open file of a chain; `path` is its name for the user."""

    handle: int
    path: str
    image_format: str

    def file(self) -> dict[str, Any]:
        block = stat.S_ISBLK(os.fstat(self.handle).st_mode)
        driver = "host_device" if block else "file"
        return {"driver": driver, "filename": confined.shown(self.handle)}


class Stack:
    """The layers of one disk, topmost first, open until it is closed. A context manager."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.layers = list(layers)

    def __enter__(self) -> "Stack":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for layer in self.layers:
            os.close(layer.handle)
        self.layers.clear()

    @property
    def handles(self) -> tuple[int, ...]:
        """What a child must inherit to find the files."""
        return tuple(layer.handle for layer in self.layers)

    def node(self) -> dict[str, Any]:
        """The whole chain as QEMU's block layer takes it (qapi: BlockdevOptions): each format and
        file said, the end said too."""
        node: dict[str, Any] | None = None
        for layer in reversed(self.layers):
            below = {"backing": node} if layer.image_format == "qcow2" else {}
            node = {"driver": layer.image_format, "file": layer.file(), **below}
        assert node is not None
        return node

    def named(self, text: str) -> str:
        """QEMU's words with the files' own names."""
        for layer in self.layers:
            text = text.replace(f"{confined.shown(layer.handle)}'", f"{layer.path}'")
        return text


def tool(
    words: Sequence[str],
    stack: Stack,
    *more: str,
    code: str,
    what: str,
    ok: tuple[int, ...] = (0,),
    writable: bool = False,
) -> str:
    """Run one of QEMU's tools on a stack: `words`, the image, then `more`; its output. `writable`
    lets it change the images."""
    image = f"json:{json.dumps(stack.node())}"
    reach = confined.OpenFiles(stack.handles, stack.handles if writable else ())
    return run(
        [*words, "--", image, *more],
        code,
        what,
        ok=ok,
        handles=stack.handles,
        before=confined.before(reach),
    )


def own(path: str, image_format: str) -> Stack:
    """An image that stands on its own, as those do that the panel makes. Raises Problem."""
    try:
        stack = Stack([Layer(opened(Path(path)), path, image_format)])
    except OSError as error:
        raise refused(path, error) from None
    below = "" if image_format == "raw" else _checked(stack, stack.layers[0]).backing_file
    if below:
        stack.close()
        raise refused(path, f"it is based on {below!r}, and should be on nothing")
    return stack


def top(path: str, image_format: str) -> Stack:
    """An image without what it may be based on: for what needs no more than the file itself."""
    stack = Stack([Layer(open_image(path), path, image_format)])
    if image_format != "raw":
        _checked(stack, stack.layers[0])
    return stack


def inner(path: Path, image_format: str) -> Stack:
    """The same of an image in a store: no folder of the store is a link, nor is the image."""
    try:
        stack = Stack([Layer(inside.opened(path), str(path), image_format)])
    except OSError as error:
        raise refused(path, error) from None
    if image_format != "raw":
        _checked(stack, stack.layers[0])
    return stack


def _checked(stack: Stack, layer: Layer) -> qcow2.Header:
    """A layer's header if it needs no other file and no key; else the stack is closed."""
    try:
        if layer.image_format not in _FORMATS:
            raise refused(layer.path, f"its format is {layer.image_format!r}, not raw or qcow2")
        found = qcow2.header(layer.handle, layer.path)
        if found.data_file:
            raise refused(layer.path, "it keeps its data in another file")
        if found.encrypted:
            raise refused(layer.path, "it is encrypted")
    except BaseException:
        stack.close()
        raise
    return found


def push(stack: Stack, layer: Layer) -> qcow2.Header:
    """Put one more qcow2 layer below; what its header says. Raises Problem with all closed."""
    stack.layers.append(layer)
    if len(stack.layers) > MOST_LAYERS:
        stack.close()
        raise refused(layer.path, f"its chain has more than {MOST_LAYERS} images")
    return _checked(stack, layer)


def of_vm(
    path: str, image_format: str, named: Sequence[Sequence[str]] = (), folders: Sequence[str] = ()
) -> Stack:
    """A VM's disk as libvirt has it: `named` are [path, format] of the backing chain that its XML
    names, topmost first, and ["", ""] where it says that the chain ends. What that does not name
    must be a file in one of `folders` (those of libvirt's storage pools and of the VM's own disks),
    named with its format. Raises Problem."""
    if image_format == "raw":
        return Stack([Layer(open_image(path), path, image_format)])
    stack, listed = Stack([]), [(one[0], one[1]) for one in named]
    while True:
        found = push(stack, Layer(open_image(path, stack), path, image_format))
        if not found.backing_file or listed[:1] == [_END]:
            return stack
        below = _beside(path, found.backing_file)
        try:
            path, image_format = _known(path, below, found.backing_format, listed, folders)
        except BaseException:
            stack.close()
            raise
        if image_format == "raw":
            stack.layers.append(Layer(open_image(path, stack), path, image_format))
            return stack


def _beside(path: str, name: str) -> str:
    """A backing file's name as QEMU reads it: relative to the image that says it."""
    return os.path.normpath(Path(path).parent / name)


def _known(
    path: str,
    below: str,
    image_format: str,
    listed: list[tuple[str, str]],
    folders: Sequence[str],
) -> tuple[str, str]:
    """The next layer's path and format, if libvirt or its place vouches for it. Raises Problem."""
    if listed:
        known, known_form = listed.pop(0)
        if not Path(known).exists() or not Path(below).exists() or not Path(known).samefile(below):
            why = f"it is based on {below!r}, and libvirt says on {known!r}"
            raise refused(path, why)
        return known, known_form
    real = os.path.realpath(below)
    if not any(Path(real).is_relative_to(os.path.realpath(folder)) for folder in folders):
        raise refused(
            path,
            f"it is based on {below!r}, which neither the VM's definition names (backingStore) "
            "nor a storage pool of libvirt holds",
        )
    if image_format not in _FORMATS:
        raise refused(path, f"it names no format of what it is based on ({below!r})")
    return real, image_format


def open_image(path: str, stack: Stack | None = None) -> int:
    """A file or block device that libvirt names, for reading; links to it are libvirt's affair."""
    try:
        handle = os.open(path, _FLAGS)
        kind = os.fstat(handle).st_mode
        if stat.S_ISREG(kind) or stat.S_ISBLK(kind):
            return handle
        os.close(handle)
        why: str | OSError = "it is neither a file nor a block device"
    except OSError as error:
        why = error
    if stack is not None:
        stack.close()
    raise refused(path, why)
