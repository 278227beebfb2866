"""Small things that one turn leaves for the next, whichever worker takes it: kept in Redis.

Nothing on it is worth more than a gap of one turn in a graph: a lost thing is None, and a Redis
that does not answer is an empty shelf.
"""

import logging
from functools import cache
from typing import Protocol, cast

import redis
from django.conf import settings

log = logging.getLogger(__name__)


class Shelf(Protocol):
    """What a service needs of it."""

    def take(self, key: str) -> bytes | None: ...

    def put(self, key: str, value: bytes, seconds: int) -> None: ...


class RedisShelf:
    def take(self, key: str) -> bytes | None:
        try:
            return cast("bytes | None", _client().get(f"labpanel:{key}"))
        except redis.RedisError as error:
            log.debug("nothing known of %s: %s", key, error)
            return None

    def put(self, key: str, value: bytes, seconds: int) -> None:
        try:
            _client().set(f"labpanel:{key}", value, ex=seconds)
        except redis.RedisError as error:
            log.debug("%s is not kept: %s", key, error)


@cache
def _client() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2)
