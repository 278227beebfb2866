"""What a look at a store finds, and what a store is asked to begin. Standard library only: it is
also sent to hosts."""

from dataclasses import dataclass

from labpanel.lib.store_format.manifest import Manifest
from labpanel.lib.store_format.spelling import Json


@dataclass(frozen=True)
class Entry:
    """One generation that lies in a store: its manifest and/or what is wrong with it."""

    key: str
    vm_uuid: str
    manifest: Manifest | None
    damage: str = ""

    def as_json(self) -> Json:
        made: Json = {"key": self.key, "vm_uuid": self.vm_uuid}
        if self.manifest is not None:
            made["manifest"] = self.manifest.as_json()
        return {**made, "damage": self.damage} if self.damage else made


@dataclass(frozen=True)
class AskedDisk:
    """One disk of a generation that is to begin: the key that its image shall back on, or empty,
    and then the digest over that one's list, as the panel knows it."""

    target: str
    virtual_bytes: int
    parent: str = ""
    root: str = ""


@dataclass(frozen=True)
class BegunDisk:
    """One disk of a generation under way: paths in the store, and what it backs on ("": nothing;
    then `why` says why, if it was asked to)."""

    image: str
    digests: str
    parent: str
    why: str
