"""The supervisor's life: prepare, start, watch, stop."""

import asyncio
import logging
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from labpanel.supervise import health, notify, orphans
from labpanel.supervise.child import Child
from labpanel.supervise.listen import Listen
from labpanel.supervise.services import Service
from labpanel.supervise.watch import Watch

log = logging.getLogger("panel")
SOCKET_SECONDS = 30.0
HEALTHY_SECONDS = 180.0  # a busy machine may start slowly
REAP_EVERY = 5.0


@dataclass(frozen=True, slots=True)
class WebAddress:
    """Where the web process answers, and the token that this start's own one knows."""

    where: Listen
    token: str


async def supervise(services: list[Service], door: WebAddress, on_ready: Callable[[], None]) -> int:
    """Keep all services running until TERM or INT; 0 then, 1 when the web never answered.

    `on_ready` runs in a thread, once, when the web process answers its health check.
    """
    url = door.where.url
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    children = [Child(service) for service in services]
    keepers: list[asyncio.Task[None]] = []
    try:
        keepers = await start(children, stop)
        ready = asyncio.create_task(announce(door, on_ready, stop))
        keepers.append(asyncio.create_task(Watch(children, url, token=door.token).run(stop)))
        while not stop.is_set():
            notify.say("WATCHDOG=1")
            await wait_for(stop, REAP_EVERY)
            orphans.reap({child.process.pid for child in children if child.process})
        return 0 if ready.done() and ready.result() else 1
    finally:
        notify.say("STOPPING=1")
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


async def announce(door: WebAddress, on_ready: Callable[[], None], stop: asyncio.Event) -> bool:
    """Wait for this start's own web process, at most HEALTHY_SECONDS; False when told to stop
    before, or when something else answers at its address."""
    until = time.monotonic() + HEALTHY_SECONDS
    while not await asyncio.to_thread(health.answers, door.where.url, door.token):
        if stop.is_set():
            return False
        other = await asyncio.to_thread(another, door)
        if other or time.monotonic() > until:
            log.error("%s", other or f"{door.where.url} does not answer; the lines above say why")
            stop.set()
            return False
        await asyncio.sleep(0.2)
    await asyncio.to_thread(on_ready)
    notify.say("READY=1")
    return True


def another(door: WebAddress) -> str:
    """The sentence on what else answers at this panel's address; "" if nothing does."""
    said = health.says(door.where.url)
    if said is None or health.is_of(said, door.token):
        return ""
    return door.where.taken() or f"Something that is not this panel answers at {door.where.url}."


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
