"""A request's body, whole and small, before anything acts on it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from labpanel.door import limits
from labpanel.door.running import Counted

Message = Mapping[str, Any]
Receive = Callable[[], Awaitable[Message]]


class Gone(Exception):
    """The client left before its body was whole."""


class TooLarge(Exception):
    """The body has more than limits.BODY_BYTES, or says so."""


class Bodies:
    """Reads bodies; of the large ones a few at a time, for each client and in all."""

    def __init__(self) -> None:
        self._large = Counted(limits.LARGE_BODIES_FOR_ONE, limits.LARGE_BODIES)

    async def read(self, receive: Receive, group: str) -> bytes:
        """`group` is what the client is counted by.

        Raises TooLarge, Gone, TimeoutError, running.NoRoom."""
        body = bytearray()
        held = False
        try:
            async with asyncio.timeout(limits.BODY_SECONDS):
                more = True
                while more:
                    message = await receive()
                    if message["type"] != "http.request":
                        raise Gone
                    body += message.get("body", b"")
                    more = message.get("more_body", False)
                    if len(body) > limits.BODY_BYTES:
                        raise TooLarge
                    if len(body) > limits.SMALL_BODY_BYTES and not held:
                        self._large.enter(group)
                        held = True
        finally:
            if held:
                self._large.leave(group)
        return bytes(body)


def replayed(body: bytes, receive: Receive) -> Receive:
    """Gives `body` once, then whatever comes: in the end the client's leaving."""
    waiting = [body]

    async def again() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return again


async def drain(receive: Receive) -> None:
    """Read on for a moment and keep nothing: a client that still sends reads no answer."""
    try:
        async with asyncio.timeout(limits.LINGER_SECONDS):
            while (await receive()).get("more_body", False):
                pass
    except TimeoutError:
        pass  # it was only a courtesy
