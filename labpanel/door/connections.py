"""Which connections stay when there is no room for all. Pure: connections tell their own state."""

from collections import Counter
from collections.abc import Collection
from typing import Protocol

from labpanel.door.limits import Room


class HeldConnection(Protocol):
    """A connection. `group` is its address as it is counted; `trusted` that of a named proxy,
    which stands for many people; `waiting_since` is None while its request is worked on."""

    group: str
    trusted: bool
    waiting_since: float | None

    def give_way(self) -> None:
        """End at once."""


class Connections:
    """All open connections. One that only waits is closed when a new one needs its place.

    So however many silent connections are held open, the next one is served.
    """

    def __init__(self, room: Room) -> None:
        self.room = room
        self._held: set[HeldConnection] = set()

    def __len__(self) -> int:
        return len(self._held)

    def admit(self, new: HeldConnection) -> bool:
        """Hold `new`, if need be at the cost of one that waits. False: all are in use."""
        if not new.trusted:
            same = [each for each in self._held if each.group == new.group]
            if len(same) >= self.room.for_one and not self._end_one_of(same):
                return False
        if len(self._held) >= self.room.in_all and not self._end_one_of(self._held):
            return False
        self._held.add(new)
        return True

    def leave(self, gone: HeldConnection) -> None:
        self._held.discard(gone)

    def _end_one_of(self, these: Collection[HeldConnection]) -> bool:
        """The longest waiting one of the address that holds most; a proxy's only as the last."""
        number = Counter(each.group for each in self._held)
        waiting = [
            (each.trusted, -number[each.group], each.waiting_since, id(each), each)
            for each in these
            if each.waiting_since is not None
        ]
        if not waiting:
            return False
        chosen = min(waiting)[-1]
        self._held.discard(chosen)
        chosen.give_way()
        return True
