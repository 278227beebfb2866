"""Whether the panel's Redis answers, over a new connection."""

import logging

import redis
from django.conf import settings

from labpanel.adapters.redis.client import SECONDS

log = logging.getLogger(__name__)


def answers() -> bool:
    """Why not is in the log."""
    fresh = redis.Redis.from_url(
        settings.REDIS_URL, socket_timeout=SECONDS, socket_connect_timeout=SECONDS
    )
    try:
        fresh.ping()
    except redis.RedisError as error:
        log.error("redis does not answer: %s", error)
        return False
    finally:
        fresh.close()
    return True
