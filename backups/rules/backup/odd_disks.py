"""What of a VM's disks a copy does not hold, though the VM has it. Pure: disks and images in."""

from collections.abc import Iterator, Mapping, Sequence

from labpanel.lib.disks import SourceDisk
from labpanel.lib.left_out import LeftOut, LeftOutKind
from labpanel.lib.source_facts import ImageFacts


def of_disks(
    disks: Sequence[SourceDisk], images: Mapping[str, ImageFacts], media: Sequence[str]
) -> list[LeftOut]:
    """`disks` are all of the definition, `images` what is known of each one that is copied, by
    target; `media` are those that come over the network, in words."""
    found = [
        LeftOut(LeftOutKind.READ_ONLY_DISK, _words(disk)) for disk in disks if disk.is_only_read
    ]
    found += [LeftOut(LeftOutKind.MEDIUM, words) for words in media]
    for target, image in images.items():
        found += _of_image(target, image)
    return found


def _words(disk: SourceDisk) -> str:
    return f"{disk.target} ({disk.source})" if disk.source else disk.target


def _of_image(target: str, image: ImageFacts) -> Iterator[LeftOut]:
    for path in image.corrupt:
        yield LeftOut(LeftOutKind.CORRUPT_FLAG, target, f"The mark stands in {path}.")
    for name in image.inside:
        yield LeftOut(LeftOutKind.INTERNAL_SNAPSHOT, f"{name or '(without a name)'} of {target}")
    more = image.inside_count - len(image.inside)
    if more > 0:
        subject = f"{more} more of {target}" if image.inside else f"{more} of {target}"
        yield LeftOut(LeftOutKind.INTERNAL_SNAPSHOT, f"({subject})")
