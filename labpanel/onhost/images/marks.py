"""What a copy of an image does not show: QEMU's mark, snapshots inside, data that lies elsewhere.

By the headers of its layers alone, without opening what they name. Standard library only.
"""

from typing import Any

from labpanel.onhost.images import layers, qcow2
from labpanel.onhost.runtime.wire import Problem


def of_stack(stack: layers.Stack) -> dict[str, Any]:
    """`corrupt` are the layers that QEMU has marked so; `inside` names of the snapshots inside the
    top one, of `inside_count`."""
    known = [
        (layer, qcow2.header(layer.handle, layer.path))
        for layer in stack.layers
        if layer.image_format == "qcow2"
    ]
    top = stack.layers[0]
    inside = known[0][1].snapshots if known and known[0][0] is top else 0
    return {
        "corrupt": [layer.path for layer, header in known if header.corrupt],
        "inside": qcow2.snapshots(top.handle) if inside else [],
        "inside_count": inside,
    }


def of_header(path: str, image_format: str) -> dict[str, Any]:
    """The same of the top image alone; nothing where it cannot be read."""
    try:
        with layers.Stack([layers.Layer(layers.open_image(path), path, image_format)]) as stack:
            return of_stack(stack)
    except Problem:
        return {}


def of_image(path: str, image_format: str) -> dict[str, Any]:
    """The top image's own, with `elsewhere`, whether its data lies in another file, and
    `encrypted`. Nothing of an image that cannot be read."""
    try:
        with layers.Stack([layers.Layer(layers.open_image(path), path, image_format)]) as stack:
            if image_format != "qcow2":
                return {}
            header = qcow2.header(stack.handles[0], path)
            found = {"elsewhere": header.data_file, "encrypted": header.encrypted}
            return {**of_stack(stack), **found}
    except Problem:
        return {}
