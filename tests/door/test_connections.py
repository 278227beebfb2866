"""A connection that only waits gives way to a new one."""

import pytest

from labpanel.door.connections import Connections
from labpanel.door.limits import Room, TooFewFiles, room


class Connection:
    def __init__(self, group: str, *, since: float | None = 0.0, trusted: bool = False) -> None:
        self.group = group
        self.trusted = trusted
        self.waiting_since = since
        self.ended = False

    def give_way(self) -> None:
        self.ended = True


def test_one_address_ends_its_own() -> None:
    held = Connections(Room(in_all=10, for_one=3))
    mine = [Connection("a", since=float(n)) for n in range(4)]
    other = Connection("b", since=-5.0)
    assert all(held.admit(each) for each in [other, *mine])
    assert [each.ended for each in mine] == [True, False, False, False]
    assert not other.ended


def test_what_is_at_work_is_never_ended() -> None:
    held = Connections(Room(in_all=10, for_one=2))
    working = [Connection("a", since=None) for _ in range(2)]
    assert all(held.admit(each) for each in working)
    assert not held.admit(Connection("a"))
    assert held.admit(Connection("b"))
    held.leave(working[0])
    assert held.admit(Connection("a"))


def test_when_all_is_full_the_greediest_address_pays() -> None:
    held = Connections(Room(in_all=4, for_one=3))
    modest = Connection("b", since=0.0)
    greedy = [Connection("a", since=float(n)) for n in range(1, 4)]
    assert all(held.admit(each) for each in [modest, *greedy, Connection("c")])
    assert (modest.ended, greedy[0].ended) == (False, True)
    assert len(held) == 4


def test_a_proxy_stands_for_many_and_is_ended_last() -> None:
    held = Connections(Room(in_all=4, for_one=2))
    proxy = [Connection("p", trusted=True) for _ in range(3)]
    assert all(held.admit(each) for each in proxy)
    stranger = Connection("a")
    assert held.admit(stranger)
    assert held.admit(Connection("b"))
    assert stranger.ended
    assert not any(each.ended for each in proxy)


def test_room_stays_below_the_limit_of_files() -> None:
    assert room(1024).in_all < 1024 / 2
    assert room(1 << 20) == Room(512, 64)
    with pytest.raises(TooFewFiles, match="may open 256 files and needs 784: raise"):
        room(256)
