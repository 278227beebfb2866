"""Small things that one turn leaves for the next, whichever worker takes it: kept in Redis.

Nothing on it is worth more than a gap of one turn in a graph: a lost thing is None, and a Redis
that does not answer is an empty shelf.
"""

import logging
from typing import Protocol, cast

import redis

from labpanel.adapters.redis.client import client

log = logging.getLogger(__name__)


class TurnCache(Protocol):
    """What a service needs of it."""

    def take(self, key: str) -> bytes | None: ...

    def put(self, key: str, value: bytes, seconds: int) -> None: ...


class RedisTurnCache:
    def take(self, key: str) -> bytes | None:
        try:
            return cast("bytes | None", client().get(f"labpanel:{key}"))
        except redis.RedisError as error:
            log.debug("nothing known of %s: %s", key, error)
            return None

    def put(self, key: str, value: bytes, seconds: int) -> None:
        try:
            client().set(f"labpanel:{key}", value, ex=seconds)
        except redis.RedisError as error:
            log.debug("%s is not kept: %s", key, error)
