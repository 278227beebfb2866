"""Frozen values that cross the seams between floors. Standard library only."""

from dataclasses import dataclass, field
from enum import StrEnum


class LibvirtSocket(StrEnum):
    """Where libvirt listens on a host. There is no third place, whatever a host or a row says."""

    LIBVIRTD = "/run/libvirt/libvirt-sock"
    VIRTQEMUD = "/run/libvirt/virtqemud-sock"

    @classmethod
    def known(cls, word: object) -> "LibvirtSocket | None":
        """The place that `word` names; None for every other word."""
        return next((place for place in cls if place.value == word), None)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """How to reach one machine: everything an adapter needs to know of a host.

    `target` is an SSH target (`user@address` or `user@address:port`), or "local" for the machine
    that the panel runs on. `host_key` is a known_hosts line without its host field
    ("ssh-ed25519 AAAA…").
    """

    name: str
    target: str
    host_key: str = ""
    libvirt_socket: LibvirtSocket = LibvirtSocket.LIBVIRTD

    @property
    def is_local(self) -> bool:
        return self.target == "local"


PANEL = Endpoint(name="the panel's machine", target="local")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a piece of work is. `percent` stays at 99 at most until it is truly done."""

    done_bytes: int = 0
    total_bytes: int = 0
    bytes_per_second: float | None = None
    phase: str = ""

    @property
    def percent(self) -> int:
        if self.total_bytes <= 0:
            return 0
        return max(0, min(99, self.done_bytes * 100 // self.total_bytes))

    @property
    def seconds_left(self) -> int | None:
        if not self.bytes_per_second or self.total_bytes <= 0:
            return None
        return round(max(0, self.total_bytes - self.done_bytes) / self.bytes_per_second)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A decision with its reason. `level` is one of good, watch, bad, unknown."""

    level: str
    reason: str
    evidence: dict[str, object] = field(default_factory=dict)
