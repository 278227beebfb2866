"""Domains that run on blocks of a generation: what is still borrowed, and pulling it in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from labpanel.adapters.libvirt.calls import Calls, asks, changes, if_known, in_words, nothing
from labpanel.lib.vm_state import Reason


@dataclass(frozen=True, slots=True)
class BlockJob:
    """How far the pulling of one disk is, in bytes of libvirt's count."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Borrowed:
    """`borrowed` are the targets that have a backing file, `jobs` the pulling under way by target;
    `xml` is the persistent definition with its secrets, empty if there is none."""

    active: bool
    state: str
    reason: Reason
    xml: str
    borrowed: tuple[str, ...] = ()
    jobs: Mapping[str, BlockJob] = field(default_factory=dict)


class PullsBlocks(Protocol):
    def borrowed(self, uuid: str) -> Borrowed | None:
        """None where libvirt does not know the domain."""

    def pull(self, uuid: str, target: str, *, bytes_per_second: int) -> None:
        """Begin to copy what is below a disk into it; 0 is as fast as it goes."""


_BORROWED = asks("borrowed", 15, if_known(in_words(Borrowed)))
_PULL = changes("pull", 15, nothing)


class BorrowingCalls(Calls, PullsBlocks):
    def borrowed(self, uuid: str) -> Borrowed | None:
        return self._do(_BORROWED, uuid=uuid)

    def pull(self, uuid: str, target: str, *, bytes_per_second: int) -> None:
        self._do(_PULL, uuid=uuid, target=target, bytes_per_second=bytes_per_second)
