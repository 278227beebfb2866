"""The table of processes, in the order in which they start."""

import os
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

from labpanel.supervise.listen import Listen

QUICK_THREADS = 12
LONG_THREADS = 4


class NoRedis(Exception):
    """There is no redis-server on this machine; the text is one sentence for the user."""


@dataclass(frozen=True, slots=True)
class Service:
    """A process to keep running. `grace` is the time in seconds between TERM and KILL. `sign` is
    how it is asked for a sign of life: "http", "ping", "stamp", or "" for not at all; one that
    gives none for `silent` seconds is killed."""

    name: str
    argv: tuple[str, ...]
    grace: float = 8.0
    socket: Path | None = None
    sign: str = ""
    silent: float = 45.0
    env: dict[str, str] = field(default_factory=dict)


def redis_program(runtime: Path) -> str:
    """Path of a redis-server.

    Debian puts the server into redis-tools under the name redis-check-rdb (it looks at its own
    name) and the service into redis-server. The panel needs no service, so a link is enough.
    """
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found:
        return found
    tool = shutil.which("redis-check-rdb")
    if tool is None:
        raise NoRedis("There is no redis-server; install redis-tools or set REDIS_URL.")
    link = runtime / "redis-server"
    link.unlink(missing_ok=True)
    link.symlink_to(tool)
    return str(link)


def redis(runtime: Path) -> Service:
    """Broker, cache and messages in memory; nothing in it is worth keeping over a restart."""
    words = {
        "port": "0",
        "unixsocket": str(runtime / "redis.sock"),
        "unixsocketperm": "700",
        "dir": str(runtime),
        "appendonly": "no",
        "maxmemory": "64mb",
        "maxmemory-policy": "noeviction",
        "loglevel": "warning",
    }
    flags = [word for name, value in words.items() for word in (f"--{name}", value)]
    argv = (redis_program(runtime), *flags, "--save", "")
    return Service("redis", argv, socket=runtime / "redis.sock", sign="ping", silent=30.0)


def web(listen: Listen) -> Service:
    words = ("--host", listen.address, "--port", str(listen.port))
    return Service("web", python("-m", "labpanel.door", *words), sign="http")


def worker(queue: str, threads: int) -> Service:
    flags = f"-Q {queue} -n {queue}@%h --pool threads -c {threads} -l INFO"
    quiet = "--without-gossip --without-mingle --without-heartbeat"
    # Root is what libvirt's socket and the practice lab want; tasks carry JSON, never pickles.
    calm = {"PYTHONWARNINGS": "ignore:You're running the worker with superuser privileges"}
    words = celery("worker", *flags.split(), *quiet.split())
    return Service(queue, words, env=calm, sign="stamp", silent=60.0)


def beat() -> Service:
    return Service("beat", python("-m", "labpanel.supervise.beat"), sign="stamp")


def python(*words: str) -> tuple[str, ...]:
    return (sys.executable, *words)


def celery(*words: str) -> tuple[str, ...]:
    return python("-m", "celery", "-q", "-A", "labpanel.celery:app", *words)


def table(runtime: Path, listen: Listen) -> list[Service]:
    """Redis only where REDIS_URL names no other."""
    own = [] if os.environ.get("REDIS_URL") else [redis(runtime)]
    workers = [worker("quick", QUICK_THREADS), worker("long", LONG_THREADS)]
    return [*own, web(listen), *workers, beat()]
