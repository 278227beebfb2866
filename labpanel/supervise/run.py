"""The supervisor's life: prepare, start, watch, stop."""

import asyncio
import logging
import signal
import time
from collections.abc import Callable

from labpanel.supervise import health, orphans
from labpanel.supervise.child import Child
from labpanel.supervise.services import Service

log = logging.getLogger("panel")
SOCKET_SECONDS = 30.0
HEALTHY_SECONDS = 180.0  # a busy machine may start slowly
REAP_EVERY = 5.0


async def supervise(services: list[Service], url: str, on_ready: Callable[[], None]) -> int:
    """Keep all services running until TERM or INT; 0 then, 1 when the web never answered.

    `on_ready` runs in a thread, once, when the web process answers its health check.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    children = [Child(service) for service in services]
    keepers: list[asyncio.Task[None]] = []
    try:
        keepers = await start(children, stop)
        ready = asyncio.create_task(announce(url, on_ready, stop))
        while not stop.is_set():
            await wait_for(stop, REAP_EVERY)
            orphans.reap({child.process.pid for child in children if child.process})
        return 0 if ready.done() and ready.result() else 1
    finally:
        await end(children, keepers)


async def start(children: list[Child], stop: asyncio.Event) -> list[asyncio.Task[None]]:
    """In order; a service with a socket must have it before the next one starts."""
    keepers = []
    for child in children:
        keepers.append(asyncio.create_task(child.keep()))
        waited = 0.0
        socket = child.service.socket
        while socket and not socket.exists() and waited < SOCKET_SECONDS and not stop.is_set():
            await asyncio.sleep(0.05)
            waited += 0.05
    return keepers


async def announce(url: str, on_ready: Callable[[], None], stop: asyncio.Event) -> bool:
    """Wait for the web process, at most HEALTHY_SECONDS; False when told to stop before."""
    until = time.monotonic() + HEALTHY_SECONDS
    while not await asyncio.to_thread(health.answers, url):
        if stop.is_set():
            return False
        if time.monotonic() > until:
            log.error("%s does not answer; the lines above say why", url)
            stop.set()
            return False
        await asyncio.sleep(0.2)
    await asyncio.to_thread(on_ready)
    return True


async def wait_for(event: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        pass  # it is time to look around again


async def end(children: list[Child], keepers: list[asyncio.Task[None]]) -> None:
    """All at once; the broker last, so that the workers can still say what they leave undone."""
    for keeper in keepers:
        keeper.cancel()
    await asyncio.gather(*keepers, return_exceptions=True)
    broker = [child for child in children if child.service.name == "redis"]
    await asyncio.gather(*(child.stop() for child in children if child not in broker))
    await asyncio.gather(*(child.stop() for child in broker))
