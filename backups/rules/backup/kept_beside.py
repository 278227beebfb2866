"""What of a VM's surroundings a copy does not hold. Pure: the definition in, what is left out."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from labpanel.lib.left_out import MOST, LeftOut, LeftOutKind

MOST_SUBJECT = 1000


class Definition(Protocol):
    """As labpanel.adapters.libvirt.xml.beside_xml.Beside gives it."""

    @property
    def devices(self) -> tuple[str, ...]: ...
    @property
    def folders(self) -> tuple[str, ...]: ...
    @property
    def nvdimms(self) -> tuple[str, ...]: ...


def of_the_host(definitions: Sequence[Definition]) -> list[LeftOut]:
    """Devices, folders and files that are the host's, of the persistent definition and of what was
    plugged into the running VM; each once."""
    return list(dict.fromkeys(one for each in definitions for one in _of(each)))


def _of(definition: Definition) -> Iterator[LeftOut]:
    kinds = (
        (LeftOutKind.HOSTDEV, definition.devices),
        (LeftOutKind.FILESYSTEM, definition.folders),
        (LeftOutKind.NVDIMM, definition.nvdimms),
    )
    for kind, subjects in kinds:
        for subject in subjects:
            yield LeftOut(kind, subject)


def bounded(found: Iterable[LeftOut]) -> list[LeftOut]:
    """As a manifest takes them: no control characters, none too long, not too many."""
    fit = [LeftOut(one.kind, _plain(one.subject), _plain(one.why)[:500]) for one in found]
    return list(dict.fromkeys(fit))[:MOST]


def _plain(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)[:MOST_SUBJECT]
