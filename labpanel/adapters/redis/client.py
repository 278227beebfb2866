"""Connections to the panel's Redis, each call with a deadline."""

from functools import cache

import redis
from django.conf import settings

SECONDS = 2


@cache
def client() -> redis.Redis:
    """One for this process; any thread may use it."""
    return redis.Redis.from_url(
        settings.REDIS_URL, socket_timeout=SECONDS, socket_connect_timeout=SECONDS
    )
