"""What a VM has, and a copy of it has not. Standard library only: it is also sent to the stores.

A backup writes it down, the manifest keeps it (`left_out`), the sentences are
backups/rules/left_out.py's. A manifest without the list is of a version that did not write one:
it is unknown then, which is not "nothing".
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from labpanel.lib.strict_json import Fields

MOST = 256
_MOST_SUBJECT, _MOST_WHY = 1024, 500


class LeftOutKind(str, Enum):
    """`subject` of each: what the owner calls it."""

    TPM = "tpm"  # "TPM 2.0"
    HOSTDEV = "hostdev"  # "PCI device 0000:02:00.0"
    FILESYSTEM = "filesystem"  # the host's folder
    NVDIMM = "nvdimm"  # its file
    KERNEL = "kernel"  # its path, and so the next three
    INITRD = "initrd"
    DTB = "dtb"
    NVRAM = "nvram"
    INTERNAL_SNAPSHOT = "internal-snapshot"  # "before-upgrade of vda"
    ENCRYPTION = "encryption"  # the virtual disk, and so the next two
    CORRUPT_FLAG = "corrupt-flag"
    TRANSIENT_DISK = "transient-disk"
    READ_ONLY_DISK = "read-only-disk"  # "vdb (/srv/images/ro-b.img)"
    MEDIUM = "medium"  # "hdc (https://…)"

    def __str__(self) -> str:
        return str(self.value)


@dataclass(frozen=True)
class LeftOut:
    """One thing; `why` is a sentence where the kind alone does not tell."""

    kind: LeftOutKind
    subject: str
    why: str = ""

    def as_json(self) -> dict[str, str]:
        found = {"kind": self.kind.value, "subject": self.subject}
        return {**found, "why": self.why} if self.why else found


def parse(fields: Fields) -> tuple[LeftOut, ...] | None:
    """The list of a manifest; None where it has none. Raises Malformed."""
    if not fields.has("left_out"):
        fields.entries("left_out", 0, default=())
        return None
    return tuple(_one(each) for each in fields.objects("left_out", MOST))


def from_json(entries: Iterable[Mapping[str, str]]) -> tuple[LeftOut, ...]:
    """Back from `as_json`, of what was parsed once."""
    return tuple(
        LeftOut(LeftOutKind(one["kind"]), one["subject"], one.get("why", "")) for one in entries
    )


def _one(fields: Fields) -> LeftOut:
    found = LeftOut(
        LeftOutKind(fields.one_of("kind", [kind.value for kind in LeftOutKind])),
        fields.text("subject", most=_MOST_SUBJECT),
        fields.text("why", most=_MOST_WHY, default=""),
    )
    fields.end()
    return found
