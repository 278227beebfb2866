"""Open streams never end unasked: they must hear that the server is told to stop.

The server (uvicorn) waits for open answers, then kills them with a complaint in the log. It offers
no hook that runs before the wait, so the signal itself is listened to, in front of its handler.
"""

import asyncio
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

_events: set[asyncio.Event] = set()
_installed = False


def event() -> asyncio.Event:
    """Set when the server is told to stop. Call from the event loop's thread; `forget` it after."""
    _install()
    fresh = asyncio.Event()
    _events.add(fresh)
    return fresh


def forget(stop: asyncio.Event) -> None:
    _events.discard(stop)


def _install() -> None:
    global _installed
    if _installed or threading.current_thread() is not threading.main_thread():
        return
    _installed = True
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        before = signal.getsignal(number)
        if callable(before):
            signal.signal(number, _in_front_of(before, loop))


def _in_front_of(
    before: Callable[[int, FrameType | None], Any], loop: asyncio.AbstractEventLoop
) -> Callable[[int, FrameType | None], None]:
    def handle(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(_set_all)
        before(number, frame)

    return handle


def _set_all() -> None:
    for each in _events:
        each.set()
