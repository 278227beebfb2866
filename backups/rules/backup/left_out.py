"""What is not in a copy, in words. Pure.

Coverage, exposure, RECOVER.txt, restores and pages all say these very sentences.
"""

from collections.abc import Sequence

from labpanel.lib.left_out import LeftOut, LeftOutKind
from labpanel.lib.printable import printable

UNKNOWN = (
    "This copy was made by a version of labpanel that did not write down what is not in it. Back "
    "the VM up again to know."
)
_MOST = 300  # characters of a name from a definition

# What is not there, and what that means for who restores. {} is the subject.
_SENTENCES = {
    LeftOutKind.TPM: (
        "The state of the {} is not in this copy. What was sealed with it (disk encryption by "
        "BitLocker, say) asks for its recovery key after a restore."
    ),
    LeftOutKind.HOSTDEV: (
        "The passed-through {} is not in this copy: it belongs to the host, and data on it is not "
        "backed up. The restored VM needs the like of it, or does without."
    ),
    LeftOutKind.FILESYSTEM: (
        "The shared folder {} is not in this copy: its files lie on the host, and are not "
        "backed up with the VM."
    ),
    LeftOutKind.NVDIMM: (
        "The NVDIMM {} is not in this copy: its content lies in that file of the host, and is not "
        "backed up with the VM."
    ),
    LeftOutKind.KERNEL: (
        "The kernel {} is not in this copy. The restored VM starts only on a host that has "
        "this file."
    ),
    LeftOutKind.INITRD: (
        "The initrd {} is not in this copy. The restored VM starts only on a host that has "
        "this file."
    ),
    LeftOutKind.DTB: (
        "The device tree {} is not in this copy. The restored VM starts only on a host that has "
        "this file."
    ),
    LeftOutKind.NVRAM: (
        "The UEFI variables {} are not in this copy. The restored VM begins with fresh ones: "
        "its boot entries and Secure Boot keys may have to be set again."
    ),
    LeftOutKind.INTERNAL_SNAPSHOT: (
        "The snapshot {} is not in this copy: only the content of that moment is kept, not "
        "the older states inside the image."
    ),
    LeftOutKind.ENCRYPTION: (
        "The disk {} is kept without its encryption: this copy holds its plain content, and the "
        "restored disk is not encrypted."
    ),
    LeftOutKind.CORRUPT_FLAG: (
        "QEMU has marked the image of {} as corrupt. This copy holds what could be read from "
        "it; check the image with `qemu-img check`."
    ),
    LeftOutKind.TRANSIENT_DISK: (
        "The disk {} is transient: the VM drops what it writes there when it is shut down, and "
        "that is not in this copy."
    ),
    LeftOutKind.READ_ONLY_DISK: (
        "The read-only disk {} is not in this copy. The restored VM needs its image on the host."
    ),
    LeftOutKind.MEDIUM: "The medium in {} is not in this copy. The restored drive is empty.",
}


def sentence(one: LeftOut) -> str:
    said = _SENTENCES[one.kind].format(printable(one.subject, _MOST))
    return f"{said} {printable(one.why)}" if one.why else said


def sentences(found: Sequence[LeftOut] | None) -> list[str]:
    """One for each; UNKNOWN where they were not written down."""
    return [UNKNOWN] if found is None else [sentence(one) for one in found]
