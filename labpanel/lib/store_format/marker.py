"""What marks a directory as a store: `<store>/labpanel-store.json`. Standard library only: it is
also sent to hosts.

Markers had no seal at first; with one, every byte follows from what the marker says.
"""

from dataclasses import dataclass

from labpanel.lib.store_format import spelling
from labpanel.lib.store_format.reading import HEX, ID
from labpanel.lib.store_format.spelling import Json
from labpanel.lib.strict_json import Fields, Malformed, loads

FORMAT = 1
MOST_BYTES = 64 << 10


@dataclass(frozen=True)
class Marker:
    """Which store it is, and whose. IDs are empty where a marker does not say."""

    store_id: str
    panel_id: str
    format: int = FORMAT

    def as_json(self) -> Json:
        made: Json = {
            "format": self.format,
            "store_id": self.store_id,
            "panel_id": self.panel_id,
        }
        return {**made, "seal": spelling.seal(made)}

    def written(self) -> bytes:
        """The bytes of the file."""
        return spelling.written(self.as_json()).encode()


def parse(raw: bytes) -> Marker:
    """From the bytes of the file, of whatever version. Raises Malformed, and nothing else."""
    fields = Fields(loads(raw, MOST_BYTES))
    found = Marker(
        format=fields.integer("format"),
        store_id=fields.like("store_id", ID, "a store's ID", default=""),
        panel_id=fields.like("panel_id", ID, "a panel's ID", default=""),
    )
    fields.like("seal", HEX, "a digest", default="")
    fields.end()
    given = fields.given
    if "seal" in given:
        whole = given["seal"] == spelling.seal(given) and spelling.written(given).encode() == raw
        if not whole:
            raise Malformed("it is not what was written")
    return found
