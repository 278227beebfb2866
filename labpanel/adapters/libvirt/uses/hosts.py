"""What a host offers to a domain that may come to it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from labpanel.adapters.libvirt.calls import Calls, asks, in_shape, read_texts
from labpanel.adapters.libvirt.uses.definitions import Defined


@dataclass(frozen=True, slots=True)
class HostOffer:
    """`domains` are those that the host has, `networks` the active ones, `machine` and `cpu`
    sentences on what it cannot do, empty if it can; `missing_volumes` those of the asked (pool,
    volume) that are not there. Versions are 1 000 000 × major + 1 000 × minor."""

    libvirt: int
    qemu: int
    domains: tuple[Defined, ...]
    networks: tuple[str, ...]
    machine: str
    cpu: str
    missing_volumes: tuple[tuple[str, str], ...]


class ReadsHost(Protocol):
    def pool_folders(self) -> tuple[str, ...]:
        """Where the storage pools keep their volumes."""

    def target_facts(
        self,
        *,
        emulator: str,
        arch: str,
        machine: str,
        cpu: str,
        volumes: Sequence[tuple[str, str]],
        page_waits: bool = False,
    ) -> HostOffer:
        """`cpu` is the domain's <cpu> XML, empty to leave it out; `volumes` are (pool, volume).
        `page_waits`: a host that takes longer than a reader waits counts as one that is silent."""


_POOL_FOLDERS = asks("pool_folders", 15, read_texts)
# libvirt may probe QEMU anew before it answers (16 s seen under plain emulation).
_TARGET_FACTS = asks("target_facts", 120, in_shape(HostOffer))
_TARGET_FACTS_SOON = asks("target_facts", 10, in_shape(HostOffer))


class HostCalls(Calls, ReadsHost):
    def pool_folders(self) -> tuple[str, ...]:
        return self._do(_POOL_FOLDERS)

    def target_facts(
        self,
        *,
        emulator: str,
        arch: str,
        machine: str,
        cpu: str,
        volumes: Sequence[tuple[str, str]],
        page_waits: bool = False,
    ) -> HostOffer:
        return self._do(
            _TARGET_FACTS_SOON if page_waits else _TARGET_FACTS,
            emulator=emulator,
            arch=arch,
            machine=machine,
            cpu=cpu,
            volumes=[list(one) for one in volumes],
        )
