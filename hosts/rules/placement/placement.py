"""Which host should take a VM? Health first, then room. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from labpanel.lib.moving import MoveTarget, Obstacle

_GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class HostCandidate:
    """A host with all that speaks against it and, in words, what speaks for it."""

    target: MoveTarget
    obstacles: tuple[Obstacle, ...]
    reasons: tuple[str, ...] = ()

    @property
    def fits(self) -> bool:
        return not any(obstacle.blocking for obstacle in self.obstacles)

    @property
    def warnings(self) -> tuple[Obstacle, ...]:
        return tuple(obstacle for obstacle in self.obstacles if not obstacle.blocking)


def rank(found: Iterable[tuple[MoveTarget, Sequence[Obstacle]]]) -> list[HostCandidate]:
    """Best first: hosts that fit, with the fewest warnings, the most room left, the most memory."""
    candidates = [HostCandidate(target, tuple(all_), _reasons(target)) for target, all_ in found]
    return sorted(candidates, key=_order)


def _order(candidate: HostCandidate) -> tuple[bool, int, int, int, str]:
    target = candidate.target
    return (
        not candidate.fits,
        len(candidate.warnings),
        -_room_left(target),
        -target.memory_available,
        target.name,
    )


def _room_left(target: MoveTarget) -> int:
    """Bytes free afterwards where it is tightest."""
    left = [space.available_bytes - space.wanted_bytes for space in target.spaces]
    return min(left, default=0)


def _reasons(target: MoveTarget) -> tuple[str, ...]:
    if target.error:
        return ()
    healthy = "well" if not target.troubles else f"open findings: {len(target.troubles)}"
    room = f"{_room_left(target) / _GIB:.1f} GiB of disk left afterwards"
    memory = f"{target.memory_available / _GIB:.1f} GiB of memory to spare"
    return (healthy, *((room,) if target.spaces else ()), memory)
