"""What a change of a VM's generations in a store has begun: `<store>/<vm-uuid>/journal.json`.
Standard library only: it is also sent to hosts.

    stage     "rebuilding": every generation is whole still. "merging": those in `drop` are none any
              more, their manifests live here only, and the change must be brought to its end.
    drop      key → manifest of each generation that goes
    entries   key → target → {"from", "parent", "file_bytes", "sha256"}: a proven image, written
              here before it takes the place of the old one: a kill between the two is taken up
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from labpanel.lib.store_format import names, spelling
from labpanel.lib.store_format.manifest import DiskEntry, Manifest, belongs
from labpanel.lib.store_format.names import KEY, TARGET
from labpanel.lib.store_format.reading import HEX, checked
from labpanel.lib.store_format.spelling import Json
from labpanel.lib.strict_json import Fields, Malformed, loads

MOST_BYTES = 64 << 20
MOST_ENTRIES = 10_000


class Stage(str, Enum):
    REBUILDING = "rebuilding"
    MERGING = "merging"


@dataclass(frozen=True)
class Proven:
    """An image that is about to take a disk's place: `path` is `<key>/<file>` below the VM's
    folder, `parent` the key that it backs on, or empty."""

    path: str
    parent: str
    file_bytes: int
    sha256: str

    def entered(self, disk: DiskEntry) -> DiskEntry:
        """The disk with this image."""
        return disk.stored(file_bytes=self.file_bytes, sha256=self.sha256, parent=self.parent)

    def as_json(self) -> Json:
        return {
            "from": self.path,
            "parent": self.parent or None,
            "file_bytes": self.file_bytes,
            "sha256": self.sha256,
        }


@dataclass(frozen=True)
class JournalFile:
    """All that the file says. `entries` leads from a generation and a target to an image."""

    stage: Stage = Stage.REBUILDING
    drop: Mapping[str, Manifest] = field(default_factory=dict)
    entries: Mapping[str, Mapping[str, Proven]] = field(default_factory=dict)

    def written(self) -> bytes:
        """The bytes of the file."""
        made: Json = {
            "stage": self.stage.value,
            "drop": {key: found.as_json() for key, found in self.drop.items()},
            "entries": {
                key: {target: one.as_json() for target, one in disks.items()}
                for key, disks in self.entries.items()
            },
        }
        return spelling.written({**made, "seal": spelling.seal(made)}).encode()


def parse(raw: bytes, vm_uuid: str) -> JournalFile:
    """From the bytes of the file in this VM's folder. Raises Malformed, and nothing else: what it
    names will be renamed and removed."""
    fields = Fields(loads(raw, MOST_BYTES))
    stage = Stage(fields.one_of("stage", [stage.value for stage in Stage]))
    drop, entries = fields.fields("drop"), fields.fields("entries")
    if len(drop.names()) + len(entries.names()) > MOST_ENTRIES:
        raise Malformed("it has too many entries")
    dropped = {key: _dropped(vm_uuid, key, drop.given[key]) for key in drop.names()}
    changed = {key: _changed(key, entries.fields(key)) for key in entries.names()}
    if fields.like("seal", HEX, "a digest") != spelling.seal(fields.given):
        raise Malformed("its seal does not fit what it says")
    fields.end()
    return JournalFile(stage, dropped, changed)


def _dropped(vm_uuid: str, key: str, value: object) -> Manifest:
    found = checked(value)
    wrong = belongs(found, key=key, vm_uuid=vm_uuid)
    if wrong:
        raise Malformed(wrong)
    return found


def _changed(key: str, targets: Fields) -> dict[str, Proven]:
    """One generation's disks; `from` leads to an image of the same VM and disk, nowhere else."""
    found = {}
    for target in targets.names():
        fields = targets.fields(target)
        parts = fields.text("from").split("/")
        images = {names.image(target), names.fresh(names.image(target))}
        good = len(parts) == 2 and KEY.fullmatch(parts[0]) and parts[1] in images
        if not (good and KEY.fullmatch(key) and TARGET.fullmatch(target)):
            raise Malformed("it names what is not an image of this VM")
        found[target] = Proven(
            path="/".join(parts),
            parent=fields.maybe_like("parent", KEY, "the name of a generation"),
            file_bytes=fields.integer("file_bytes"),
            sha256=fields.like("sha256", HEX, "a digest"),
        )
        fields.end()
    return found
