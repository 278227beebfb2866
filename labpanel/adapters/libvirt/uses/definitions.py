"""Definitions: what libvirt has, what it would take, defining and forgetting."""

from dataclasses import dataclass
from typing import Protocol

from labpanel.adapters.libvirt.calls import (
    Calls,
    asks,
    changes,
    if_known,
    in_shape,
    nothing,
    read_text,
)


@dataclass(frozen=True, slots=True)
class Defined:
    """A domain's UUID and name as libvirt took them."""

    uuid: str
    name: str


@dataclass(frozen=True, slots=True)
class Stored:
    """What forbids putting other disks below a domain that is off. `xml` is the persistent
    definition with its secrets, `managed_save` says that its memory was kept."""

    name: str
    active: bool
    xml: str
    snapshots: int
    managed_save: bool


class ReadsDefinitions(Protocol):
    def uuid_of(self, called: str) -> str:
        """The UUID of the domain of that name; empty if none has it."""

    def own_definition(self, uuid: str) -> str:
        """The persistent definition with its secrets; empty if the host has none."""

    def check_definition(self, xml: str) -> str:
        """What libvirt has against it; empty if nothing. Nothing is defined."""

    def stored(self, uuid: str) -> Stored | None:
        """None where libvirt does not know the domain."""


class DefinesDomains(ReadsDefinitions, Protocol):
    def define(self, xml: str) -> Defined:
        """Takes the place of a definition of the same UUID."""

    def undefine(self, uuid: str, *, snapshots: bool = False, keep_tpm: bool = False) -> None:
        """Forget the domain; its disks and NVRAM stay. One that has snapshots is refused, unless
        what libvirt knows of `snapshots` may go."""


_UUID_OF = asks("uuid_of", 15, read_text)
_OWN = asks("own_definition", 15, read_text)
# libvirt may probe QEMU anew before it checks or defines (16 s seen under plain emulation).
_CHECK = asks("check_definition", 120, read_text)
_DEFINE = changes("define", 120, in_shape(Defined))
_STORED = asks("stored", 15, if_known(in_shape(Stored)))
_UNDEFINE = changes("undefine", 30, nothing)


class DefinitionCalls(Calls, DefinesDomains):
    def uuid_of(self, called: str) -> str:
        return self._do(_UUID_OF, called=called)

    def own_definition(self, uuid: str) -> str:
        return self._do(_OWN, uuid=uuid)

    def check_definition(self, xml: str) -> str:
        return self._do(_CHECK, xml=xml)

    def stored(self, uuid: str) -> Stored | None:
        return self._do(_STORED, uuid=uuid)

    def define(self, xml: str) -> Defined:
        return self._do(_DEFINE, xml=xml)

    def undefine(self, uuid: str, *, snapshots: bool = False, keep_tpm: bool = False) -> None:
        self._do(_UNDEFINE, uuid=uuid, snapshots=snapshots, keep_tpm=keep_tpm)
