"""What the panel asks of a store's programs, as values. Standard library only."""

from labpanel.lib.store_format.found import AskedDisk
from labpanel.lib.store_format.manifest import Manifest, Signature
from labpanel.lib.store_format.reading import MOST_DISKS, unsealed
from labpanel.lib.strict_json import Fields, Malformed
from labpanel.onhost.runtime.wire import Problem


def disks(given: object) -> list[AskedDisk]:
    """Names are checked where paths are made of them. Raises Problem ("asked")."""
    try:
        return [_disk(each) for each in Fields({"disks": given}).objects("disks", MOST_DISKS)]
    except Malformed as error:
        raise _no_sense(error) from None


def _disk(fields: Fields) -> AskedDisk:
    return AskedDisk(
        target=fields.text("target"),
        virtual_bytes=fields.integer("virtual_bytes"),
        parent=fields.text("parent", default=""),
        root=fields.text("root", default=""),
    )


def manifest(given: object, key: str) -> Manifest:
    """One that is not sealed yet, or will be anew. Raises Problem ("manifest")."""
    try:
        return unsealed(given)
    except Malformed as error:
        what = f"The manifest of generation {key} makes no sense: {error}."
        raise Problem("manifest", what) from None


def signature(given: object) -> Signature:
    """Raises Problem ("asked")."""
    try:
        fields = Fields(given)
        return Signature(fields.text("key"), fields.text("hmac"))
    except Malformed as error:
        raise _no_sense(error) from None


def _no_sense(error: Malformed) -> Problem:
    return Problem("asked", f"What the panel asks for makes no sense: {error}.")
