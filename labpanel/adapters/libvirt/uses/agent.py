"""Asking a guest through its agent. Each call is told how many seconds the agent has."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from labpanel.adapters.libvirt.calls import Calls, asks, changes, in_shape, read_flag
from labpanel.lib.guest import GuestDisk, GuestMount
from labpanel.lib.printable import printable

# A guest with containers has some hundred mounts.
MOST_DISKS, MOST_MOUNTS, _MOST_WORD = 256, 2048, 5000


@dataclass(frozen=True, slots=True)
class Ran:
    """A program in the guest. `ended` is False if it runs on; `out` is 1 MiB at most."""

    ended: bool
    status: int
    out: str


class AsksAgent(Protocol):
    def agent_answers(self, uuid: str, *, seconds: int) -> bool: ...

    def agent_run(self, uuid: str, words: Sequence[str], *, seconds: int) -> Ran:
        """Run a program in the guest. Raises Refused where the agent may not."""

    def agent_mounts(self, uuid: str, *, seconds: int) -> tuple[GuestMount, ...]:
        """guest-get-fsinfo (qga/qapi-schema.json). Raises Refused where the agent has no such
        command."""

    def agent_disks(self, uuid: str, *, seconds: int) -> tuple[GuestDisk, ...]:
        """guest-get-disks, without partitions; their sizes are not said, and are 0 here."""


def read_mounts(answer: object) -> tuple[GuestMount, ...]:
    """What is not a file system is left out."""
    return tuple(
        GuestMount(_word(one.get("mountpoint")), _word(one.get("name")), _word(one.get("type")))
        for one in _listed(answer)[:MOST_MOUNTS]
    )


def read_disks(answer: object) -> tuple[GuestDisk, ...]:
    """What is not a disk is left out."""
    return tuple(
        GuestDisk(_word(one.get("name")), 0, _word(_address(one).get("serial")))
        for one in _listed(answer)[:MOST_DISKS]
        if one.get("partition") is False
    )


def _listed(answer: object) -> list[dict[str, object]]:
    return [one for one in answer if isinstance(one, dict)] if isinstance(answer, list) else []


def _address(disk: dict[str, object]) -> dict[str, object]:
    found = disk.get("address")
    return found if isinstance(found, dict) else {}


def _word(value: object) -> str:
    return printable(value, _MOST_WORD) if isinstance(value, str) else ""


# The agent's own seconds are added.
_ANSWERS = asks("agent_answers", 10, read_flag)
_RUN = changes("agent_run", 10, in_shape(Ran))
_MOUNTS = asks("agent_ask", 5, read_mounts)
_DISKS = asks("agent_ask", 5, read_disks)


class AgentCalls(Calls, AsksAgent):
    def agent_answers(self, uuid: str, *, seconds: int) -> bool:
        return self._do(_ANSWERS, extra_seconds=seconds, uuid=uuid, seconds=seconds)

    def agent_run(self, uuid: str, words: Sequence[str], *, seconds: int) -> Ran:
        return self._do(_RUN, extra_seconds=seconds, uuid=uuid, words=list(words), seconds=seconds)

    def agent_mounts(self, uuid: str, *, seconds: int) -> tuple[GuestMount, ...]:
        command = "guest-get-fsinfo"
        return self._do(_MOUNTS, extra_seconds=seconds, uuid=uuid, command=command, seconds=seconds)

    def agent_disks(self, uuid: str, *, seconds: int) -> tuple[GuestDisk, ...]:
        command = "guest-get-disks"
        return self._do(_DISKS, extra_seconds=seconds, uuid=uuid, command=command, seconds=seconds)
