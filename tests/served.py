"""A web process of its own with a redis of its own, for tests that need real connections."""

import contextlib
import http.client
import os
import resource
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis

from labpanel.supervise.services import redis_program

COOKIE = "labpanel_session"


@dataclass
class Server:
    """A web process of its own with a redis of its own; `key` is a session that is signed in."""

    web: subprocess.Popen[bytes]
    port: int
    key: str
    broker: Any
    log: Path

    def get(self, path: str) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request("GET", path, headers={"Cookie": f"{COOKIE}={self.key}"})
        return connection.getresponse()


SIGN_IN = """
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from labpanel.accounts.session_store import SessionStore
user, _ = User.objects.get_or_create(username="olga")
session = SessionStore()
session[SESSION_KEY] = str(user.pk)
session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
session[HASH_SESSION_KEY] = user.get_session_auth_hash()
session.save()
print(session.session_key)
"""


def manage(environment: dict[str, str], *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "manage.py", *words],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout.strip()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


@contextlib.contextmanager
def made_ground(home: Path) -> Iterator[dict[str, str]]:
    """A home with tables, an account, a session (KEY), and a redis."""
    if not (shutil.which("redis-server") or shutil.which("redis-check-rdb")):
        pytest.skip("not installed here: redis-server")
    environment = {
        **os.environ,
        "LABPANEL_HOME": str(home),
        "DATABASE_URL": f"sqlite:///{home / 'db.sqlite3'}",
        "REDIS_URL": f"unix://{home / 'r.sock'}",
        "DJANGO_SETTINGS_MODULE": "labpanel.settings",
    }
    words = ["--port", "0", "--unixsocket", str(home / "r.sock"), "--save", "", "--dir", str(home)]
    broker = subprocess.Popen([redis_program(home), *words], stdout=subprocess.DEVNULL)
    try:
        manage(environment, "migrate", "-v", "0")
        environment["KEY"] = manage(environment, "shell", "-v", "0", "-c", SIGN_IN)
        yield environment
    finally:
        stop(broker)
        runtime = manage(
            environment, "shell", "-v", "0", "-c", "from labpanel import env; print(env.runtime())"
        )
        shutil.rmtree(runtime, ignore_errors=True)


@contextlib.contextmanager
def served(ground: dict[str, str], open_files: int | None = None) -> Iterator[Server]:
    """The web process, when it answers; `open_files` is the hard limit that it is started with."""
    port = free_port()
    home = Path(ground["LABPANEL_HOME"])
    log = home / f"web-{port}.log"
    with log.open("wb") as output:
        web = subprocess.Popen(
            [sys.executable, "-m", "labpanel.door", "--port", str(port)],
            env=ground,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    if open_files is not None:
        resource.prlimit(web.pid, resource.RLIMIT_NOFILE, (open_files, open_files))
    try:
        broker = redis.Redis(unix_socket_path=str(home / "r.sock"))
        running = Server(web, port, ground["KEY"], broker, log)
        until = time.monotonic() + 60
        while time.monotonic() < until:
            with contextlib.suppress(OSError):
                if running.get("/healthz").status == 200:
                    break
            assert web.poll() is None, log.read_text()
            time.sleep(0.1)
        yield running
        broker.close()
    finally:
        stop(web)
