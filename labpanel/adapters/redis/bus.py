"""Telling the web process what changed, through Redis publish/subscribe.

A topic is a word ("jobs", "job:7", "samples", "inventory", "health", "coverage"). Losing one is
harmless: the database holds the truth, a topic only says that looking again is worth while.
"""

import logging

import redis

from labpanel.adapters.redis.client import client

CHANNEL = "labpanel"
log = logging.getLogger(__name__)


def publish(topic: str) -> None:
    try:
        client().publish(CHANNEL, topic)
    except redis.RedisError as error:
        log.debug("no page was told of %s: %s", topic, error)
