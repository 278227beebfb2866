"""/events: what changed, as server-sent events (WHATWG HTML, section 9.2).

A message is a topic and nothing else (adapters/redis/bus.py): the page asks for what it shows.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator

from django.contrib.auth.decorators import login_not_required
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse

from labpanel.adapters.errors import AdapterError
from labpanel.adapters.redis.topics import Topics, topics
from labpanel.door import limits
from labpanel.door.running import Counted, NoRoom
from labpanel.live import stopping
from labpanel.live.coalesce import Coalescer

HEARTBEAT_SECONDS = 15.0
# Browsers open 6 connections to one address over HTTP/1.1: one stays free for pages.
STREAMS_FOR_A_SESSION = 5
RETRY_MILLISECONDS = 3000
log = logging.getLogger(__name__)
_open = Counted(STREAMS_FOR_A_SESSION, limits.STREAMS_IN_ALL)


@login_not_required  # answered here: an event source can't follow a redirect to a page
async def events(request: HttpRequest) -> HttpResponseBase:
    """The stream, 401 for who is not signed in, 429 for one too many."""
    user = await request.auser()
    key = request.session.session_key
    if not user.is_authenticated or key is None:
        return HttpResponse("Sign in first.", status=401, content_type="text/plain")
    if request.method != "GET":
        return HttpResponse(status=405, headers={"Allow": "GET"})
    try:
        content = Stream(request.session, key)
    except NoRoom:
        sentence = "Too many pages of this panel are open in this browser."
        return HttpResponse(sentence, status=429, content_type="text/plain")
    # X-Accel-Buffering: nginx would hold the messages back otherwise.
    return StreamingHttpResponse(
        content,
        content_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


class Stream:
    """One counted stream. Raises NoRoom when it is made: the count and the look are one step.

    It is counted until Django closes the answer, and where that never comes (the client left
    before the first byte) until nothing holds it any more.
    """

    def __init__(self, session: SessionBase, key: str) -> None:
        self._counted = False
        _open.enter(key)
        self._counted = True
        self.session = session
        self.key = key

    def __aiter__(self) -> AsyncIterator[bytes]:
        return stream(self.session, self.key)

    def close(self) -> None:
        if self._counted:
            self._counted = False
            _open.leave(self.key)

    __del__ = close


async def stream(session: SessionBase, key: str) -> AsyncGenerator[bytes]:
    """Topics until the client leaves, the server stops, or the session ends."""
    stop = stopping.event()
    try:
        yield f"retry: {RETRY_MILLISECONDS}\n\n".encode()
        async with contextlib.aclosing(_messages(session, key, stop)) as messages:
            async for message in messages:
                yield message
    except AdapterError as error:
        log.warning("a stream ended because redis does not answer: %s", error.detail)
    finally:
        stopping.forget(stop)


async def _messages(session: SessionBase, key: str, stop: asyncio.Event) -> AsyncGenerator[bytes]:
    waiting = Coalescer()
    async with topics() as queue, _told_of(stop, queue):
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
                topic_or_end = await asyncio.wait_for(queue.get(), max(0.01, left))
            except TimeoutError:
                continue
            if topic_or_end is None:
                return
            waiting.add(topic_or_end, time.monotonic())


@contextlib.asynccontextmanager
async def _told_of(stop: asyncio.Event, queue: Topics) -> AsyncGenerator[None]:
    """The queue gets None when the server stops."""

    async def tell() -> None:
        await stop.wait()
        await queue.put(None)

    task = asyncio.create_task(tell())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
