"""/events: what changed, as server-sent events (WHATWG HTML, section 9.2).

A message is a topic and nothing else (labpanel.adapters.bus): the page asks for what it shows.
"""

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import AsyncGenerator

import redis.asyncio
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse

from labpanel.adapters.bus import CHANNEL
from labpanel.live import stopping
from labpanel.live.coalesce import Coalescer

HEARTBEAT_SECONDS = 15.0
# Browsers open 6 connections to one address over HTTP/1.1: one stays free for pages.
STREAMS_FOR_A_SESSION = 5
RETRY_MILLISECONDS = 3000
log = logging.getLogger(__name__)
_open: Counter[str] = Counter()


@login_not_required  # answered here: an event source can't follow a redirect to a page
async def events(request: HttpRequest) -> HttpResponseBase:
    """The stream, 401 for who is not signed in, 429 for one too many."""
    user = await request.auser()
    key = request.session.session_key
    if not user.is_authenticated or key is None:
        return HttpResponse("Sign in first.", status=401, content_type="text/plain")
    if request.method != "GET":
        return HttpResponse(status=405, headers={"Allow": "GET"})
    if _open[key] >= STREAMS_FOR_A_SESSION:
        sentence = "Too many pages of this panel are open in this browser."
        return HttpResponse(sentence, status=429, content_type="text/plain")
    # X-Accel-Buffering: nginx would hold the messages back otherwise.
    return StreamingHttpResponse(
        stream(request.session, key),
        content_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def stream(session: SessionBase, key: str) -> AsyncGenerator[bytes]:
    """Topics until the client leaves, the server stops, or the session ends."""
    stop = stopping.event()
    _open[key] += 1
    try:
        yield f"retry: {RETRY_MILLISECONDS}\n\n".encode()
        async with contextlib.aclosing(_messages(session, key, stop)) as messages:
            async for message in messages:
                yield message
    except redis.RedisError as error:
        log.warning("a stream ended because redis does not answer: %s", error)
    finally:
        stopping.forget(stop)
        _open[key] -= 1
        if _open[key] <= 0:
            del _open[key]


async def _messages(session: SessionBase, key: str, stop: asyncio.Event) -> AsyncGenerator[bytes]:
    waiting = Coalescer()
    client = redis.asyncio.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=2)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(client.aclose)
        channel = await stack.enter_async_context(client.pubsub())
        await channel.subscribe(CHANNEL)
        topics: asyncio.Queue[str | None] = asyncio.Queue(maxsize=1000)
        reader = asyncio.create_task(_read(channel, topics))
        stopper = asyncio.create_task(_tell(stop, topics))
        stack.push_async_callback(_end, reader, stopper)
        beat_at = time.monotonic() + HEARTBEAT_SECONDS
        yield b"event: hello\ndata: hello\n\n"
        while True:
            now = time.monotonic()
            for topic in waiting.due(now):
                yield f"event: {topic}\ndata: {topic}\n\n".encode()
            if now >= beat_at:
                if not await session.aexists(key):
                    return
                beat_at = now + HEARTBEAT_SECONDS
                yield b": still here\n\n"
            left = min(beat_at - now, waiting.wait(now) or HEARTBEAT_SECONDS)
            try:
                topic_or_end = await asyncio.wait_for(topics.get(), max(0.01, left))
            except TimeoutError:
                continue
            if topic_or_end is None:
                return
            waiting.add(topic_or_end, time.monotonic())


async def _read(channel: redis.asyncio.client.PubSub, topics: asyncio.Queue[str | None]) -> None:
    """Topics from redis into the queue; None when redis is gone."""
    try:
        async for message in channel.listen():
            if message["type"] == "message":
                topic = message["data"].decode("utf-8", "replace")
                # A line end would begin another field of the stream.
                await topics.put(topic.replace("\n", " ").replace("\r", " "))
    finally:
        with contextlib.suppress(asyncio.QueueFull):
            topics.put_nowait(None)


async def _tell(stop: asyncio.Event, topics: asyncio.Queue[str | None]) -> None:
    await stop.wait()
    await topics.put(None)


async def _end(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
