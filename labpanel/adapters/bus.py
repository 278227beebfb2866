"""Telling the web process what changed, through Redis publish/subscribe.

A topic is a word ("jobs", "job:7", "samples", "inventory", "health", "coverage"). Losing one is
harmless: the database holds the truth, a topic only says that looking again is worth while.
"""

import logging
from functools import cache

import redis
from django.conf import settings

CHANNEL = "labpanel"
log = logging.getLogger(__name__)


@cache
def _client() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2)


def publish(topic: str) -> None:
    try:
        _client().publish(CHANNEL, topic)
    except redis.RedisError as error:
        log.debug("nobody was told of %s: %s", topic, error)
