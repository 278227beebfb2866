"""Hearing in the web process what changed: the other end of bus.py."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator

import redis.asyncio
from django.conf import settings

from labpanel.adapters.errors import Unreachable
from labpanel.adapters.redis.bus import CHANNEL
from labpanel.adapters.redis.client import SECONDS

MOST_WAITING = 1000
Topics = asyncio.Queue[str | None]
log = logging.getLogger(__name__)


@contextlib.asynccontextmanager
async def topics() -> AsyncGenerator[Topics]:
    """A queue that gets each topic that is published, and None when Redis is gone. Entered when it
    is subscribed. Raises Unreachable."""
    found: Topics = asyncio.Queue(maxsize=MOST_WAITING)
    client = redis.asyncio.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=SECONDS)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(client.aclose)
        channel = await stack.enter_async_context(client.pubsub())
        try:
            await channel.subscribe(CHANNEL)
        except redis.RedisError as error:
            raise Unreachable("Redis does not answer.", str(error)) from error
        reader = asyncio.create_task(_read(channel, found))
        stack.push_async_callback(_end, reader)
        yield found


async def _read(channel: redis.asyncio.client.PubSub, found: Topics) -> None:
    try:
        async for message in channel.listen():
            if message["type"] == "message":
                topic = message["data"].decode("utf-8", "replace")
                # A line end would begin another field of the stream.
                await found.put(topic.replace("\n", " ").replace("\r", " "))
    except redis.RedisError as error:
        log.warning("a stream ended because redis does not answer: %s", error)
    finally:
        with contextlib.suppress(asyncio.QueueFull):
            found.put_nowait(None)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
