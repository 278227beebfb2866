"""What a generation's manifest.json says, as values, and how it is written. Standard library only:
it is also sent to hosts.

`content` says what the generation is (its name, VM, instant and the roots of its disks) and never
changes. `seal` covers everything but itself, so that a flipped byte shows; merging a parent away
rewrites files, and the seal with them. Format 1 has neither. Neither proves who wrote it: that does
`signature`, which only the panel can make (signature.py). Reading is reading.py's.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from labpanel.lib.left_out import LeftOut
from labpanel.lib.store_format import names, spelling
from labpanel.lib.store_format.digests import BLOCK
from labpanel.lib.store_format.spelling import Json, Spelling

FORMAT = 2
UNKNOWN = "0" * 64  # the digest of a file before the store's machine has hashed it
# What a merge or a mending rewrites. All else is what the generation is, and stays.
_REWRITTEN = {"content", "seal", "signature"}
_REWRITTEN_OF_DISKS = {"parent", "file_bytes", "sha256", "digests"}

Range = tuple[int, int]  # first byte, byte after


@dataclass(frozen=True)
class DiskEntry:
    """One disk. `source` is the path of the live image; `mode` and `why` say how it was read
    (lib/hints.py). `parent` is the key that its image backs on, or empty; `root` the SHA-256 of its
    list of digests, `list_sha256` that of the file that holds the list. `chain` are the paths that
    the image backed on at its host, `inode` its file there (0: not known), `stamps` inode, size and
    times of the files, `node` QEMU's name of it; `alike_bytes` and `lost_bytes` what stayed of the
    parent's content where it was compared (mover.Saved)."""

    target: str
    source: str
    source_format: str
    mode: str
    virtual_bytes: int
    root: str
    read_bytes: int
    copied_bytes: int
    seconds: float
    file_bytes: int = 0
    sha256: str = UNKNOWN
    list_sha256: str = UNKNOWN
    parent: str = ""
    why: str = ""
    unreadable: tuple[Range, ...] = ()
    missed: tuple[Range, ...] = ()
    candidate_bytes: int = 0
    stamps: tuple[int, ...] = ()
    node: str = ""
    chain: tuple[str, ...] = ()
    inode: int = 0
    alike_bytes: int = 0
    lost_bytes: int = 0
    spelling: Spelling = ()

    @property
    def file(self) -> str:
        return names.image(self.target)

    @property
    def list_file(self) -> str:
        return names.digests(self.target)

    def stored(self, *, file_bytes: int, sha256: str, parent: str | None = None) -> "DiskEntry":
        """With another image in the store; its parent stays unless one is given."""
        kept = {"file_bytes", "sha256"} if parent is None else {"file_bytes", "sha256", "parent"}
        return replace(
            self,
            file_bytes=file_bytes,
            sha256=sha256,
            parent=self.parent if parent is None else parent,
            spelling=spelling.without(self.spelling, kept),
        )

    def as_json(self) -> Json:
        made: Json = {
            "target": self.target,
            "source": self.source,
            "source_format": self.source_format,
            "mode": self.mode,
            "why": self.why,
            "file": self.file,
            "parent": self.parent or None,
            "virtual_bytes": self.virtual_bytes,
            "candidate_bytes": self.candidate_bytes,
            "read_bytes": self.read_bytes,
            "copied_bytes": self.copied_bytes,
            "seconds": self.seconds,
            "unreadable": [list(each) for each in self.unreadable],
            "missed": [list(each) for each in self.missed],
            "stamps": list(self.stamps),
            "node": self.node,
            "alike_bytes": self.alike_bytes,
            "lost_bytes": self.lost_bytes,
            "chain": list(self.chain),
            "inode": self.inode,
            "root": self.root,
            "file_bytes": self.file_bytes,
            "sha256": self.sha256,
            "digests": {"file": self.list_file, "sha256": self.list_sha256},
        }
        return spelling.spelled(made, self.spelling)


@dataclass(frozen=True)
class KeptFile:
    """A small file of a generation, beside its disks."""

    name: str
    sha256: str


@dataclass(frozen=True)
class Signature:
    """Made by a panel: `key` names the key (no part of it), `hmac` is the HMAC-SHA256."""

    key: str
    hmac: str

    def as_json(self) -> dict[str, str]:
        return {"key": self.key, "hmac": self.hmac}


@dataclass(frozen=True)
class Manifest:
    """One generation. `parent` is the key of the one before it in the store, `parent_content` what
    that one was; `left_out` is what is not in it, None where that is not said; `policy` is the one
    that asked, `not_quiesced` why the guest was not frozen, `nvram` the path of its UEFI variables,
    `boot` its QEMU process, `checkpoint` the record that begins with it. Texts may be empty."""

    format: int
    generation: str
    vm_uuid: str
    vm_name: str
    host: str
    store_id: str
    panel_id: str
    taken_at: datetime
    consistency: str
    disks: tuple[DiskEntry, ...]
    files: tuple[KeptFile, ...] = ()
    left_out: tuple[LeftOut, ...] | None = None
    signature: Signature | None = None
    parent: str = ""
    parent_content: str = ""
    policy: str = ""
    not_quiesced: str = ""
    nvram: str = ""
    libvirt: int = 0
    qemu: int = 0
    boot: str = ""
    checkpoint: str = ""
    is_sealed: bool = True
    spelling: Spelling = ()

    def disk(self, target: str) -> DiskEntry | None:
        return next((disk for disk in self.disks if disk.target == target), None)

    @property
    def digests_of_files(self) -> dict[str, str]:
        """Name → SHA-256 of the small files."""
        return {file.name: file.sha256 for file in self.files}

    @property
    def content(self) -> str:
        """What the generation is, in one digest."""
        disks = [
            {"target": disk.target, "virtual_bytes": disk.virtual_bytes, "root": disk.root}
            for disk in self.disks
        ]
        taken_at = self._body()["taken_at"]
        return spelling.digest(
            {
                "generation": self.generation,
                "taken_at": taken_at,
                "vm": self.vm_uuid,
                "disks": disks,
            }
        )

    def as_json(self) -> Json:
        """What the file holds."""
        body = self._body()
        if self.is_sealed:
            body["content"] = self.content
            body["seal"] = spelling.seal(body)
        return body

    def written(self) -> bytes:
        """The bytes of the file."""
        return spelling.written(self.as_json()).encode()

    def sealed(self) -> "Manifest":
        """With both of its digests, which follow from the rest."""
        return self if self.is_sealed else replace(self, is_sealed=True)

    def signed(self, signature: Signature) -> "Manifest":
        kept = spelling.without(self.spelling, {"signature"})
        return replace(self, signature=signature, is_sealed=True, spelling=kept)

    def with_disks(self, disks: tuple[DiskEntry, ...]) -> "Manifest":
        """After a merge or a mending; sealed."""
        return replace(self, disks=disks, is_sealed=True)

    def identity(self) -> Json:
        """What a generation is: all of its manifest that neither merging nor mending ever
        rewrites."""
        kept = {key: value for key, value in self._body().items() if key not in _REWRITTEN}
        disks = [disk.as_json() for disk in self.disks]
        kept["disks"] = [
            {key: value for key, value in disk.items() if key not in _REWRITTEN_OF_DISKS}
            for disk in disks
        ]
        return kept

    def is_of_same(self, other: "Manifest") -> bool:
        """Whether both tell of the same generation, however it was merged since."""
        return self.identity() == other.identity()

    @property
    def identity_digest(self) -> str:
        return spelling.digest(self.identity())

    def _body(self) -> Json:
        made: Json = {
            "format": self.format,
            "generation": self.generation,
            "parent": self.parent or None,
            "parent_content": self.parent_content or None,
            "vm": {"uuid": self.vm_uuid, "name": self.vm_name},
            "host": self.host,
            "store_id": self.store_id,
            "panel_id": self.panel_id,
            "policy": self.policy,
            "taken_at": self.taken_at.isoformat(),
            "consistency": self.consistency,
            "not_quiesced": self.not_quiesced,
            "nvram": self.nvram,
            "libvirt": self.libvirt,
            "qemu": self.qemu,
            "boot": self.boot,
            "checkpoint": self.checkpoint,
            "block_bytes": BLOCK,
            "disks": [disk.as_json() for disk in self.disks],
            "files": self.digests_of_files,
        }
        if self.left_out is not None:
            made["left_out"] = [one.as_json() for one in self.left_out]
        if self.signature is not None:
            made["signature"] = self.signature.as_json()
        return spelling.spelled(made, self.spelling)


def belongs(found: Manifest, *, key: str, vm_uuid: str, store_id: str = "") -> str:
    """Why it cannot be the manifest of the folder `<store>/<vm_uuid>/<key>`, or an empty text."""
    if found.generation != key:
        return f"it tells of generation {found.generation}"
    if found.vm_uuid != vm_uuid:
        return f"it tells of the VM {found.vm_uuid}"
    if store_id and found.store_id != store_id:
        return f"it was written for the store {found.store_id}"
    return ""
