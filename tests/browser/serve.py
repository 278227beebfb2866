"""A panel of its own for the browser: rows made by the factory, a real server, gone at the end.

Run as a program with LABPANEL_HOME set: `python -m tests.browser.serve DAYS` makes the rows and
prints the session's cookie and the addresses of the pages as JSON.
"""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from labpanel.supervise.services import redis_program

REPOSITORY = Path(__file__).resolve().parent.parent.parent
READY_SECONDS = 60
# Also when the tests themselves are killed (prctl(2), PR_SET_PDEATHSIG)
DIES_WITH_US = ("setpriv", "--pdeathsig", "TERM", "--")


@dataclass(frozen=True)
class Panel:
    """`pages` are paths by name; `cookie` is the value of the session's cookie."""

    address: str
    cookie: str
    pages: dict[str, str]
    environment: dict[str, str] = field(default_factory=dict)

    def do(self, code: str) -> None:
        """Run Python on this panel's database, with its models and the bus at hand."""
        before = "import django; django.setup(); from labpanel.adapters.redis import bus;"
        models = "from hosts.models import *; from backups.models import *;"
        jobs = "from labpanel.jobs.models import *; from django.utils import timezone;"
        words = [sys.executable, "-c", f"{before}{models}{jobs}{code}"]
        subprocess.run(words, cwd=REPOSITORY, env=self.environment, check=True, timeout=60)

    def url(self, page: str) -> str:
        return self.address + self.pages[page]


@contextmanager
def panel(days: int = 0) -> Iterator[Panel]:
    """A panel that listens on this machine; its home, its sockets and its process go away."""
    home = Path(tempfile.mkdtemp(prefix="labpanel-browser-"))
    environment = {
        **os.environ,
        "LABPANEL_HOME": str(home),
        "LABPANEL_SECRET_KEY": secrets.token_urlsafe(32),
        "DJANGO_SETTINGS_MODULE": "labpanel.settings",
        "LABPANEL_LOG_LEVEL": "ERROR",
        "REDIS_URL": f"unix://{home}/redis.sock",
    }
    started: list[subprocess.Popen[bytes]] = []
    try:
        started.append(_redis(home))
        made = _made(environment, days)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        started.append(_start(environment, port))
        _wait(started[-1], port)
        yield Panel(f"http://127.0.0.1:{port}", made["cookie"], made["pages"], environment)
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait(timeout=20)
        runtime = subprocess.run(
            [sys.executable, "-c", "from labpanel import env; print(env.runtime())"],
            cwd=REPOSITORY,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        ).stdout.strip()
        for folder in filter(None, (runtime, str(home))):
            shutil.rmtree(folder, ignore_errors=True)


def _redis(home: Path) -> subprocess.Popen[bytes]:
    words = ["--port", "0", "--unixsocket", str(home / "redis.sock"), "--save", ""]
    command = [*DIES_WITH_US, redis_program(home), *words]
    return subprocess.Popen(command, cwd=home, stdout=subprocess.DEVNULL)


def _made(environment: dict[str, str], days: int) -> Any:
    for words in (["migrate", "-v0"], ["collectstatic", "--noinput", "-v0"]):
        subprocess.run(
            [sys.executable, "manage.py", *words], cwd=REPOSITORY, env=environment, check=True
        )
    command = [sys.executable, "-m", "tests.browser.serve", str(days)]
    made = subprocess.run(
        command, cwd=REPOSITORY, env=environment, check=True, capture_output=True, text=True
    )
    return json.loads(made.stdout)


def _start(environment: dict[str, str], port: int) -> subprocess.Popen[bytes]:
    words = ["--host", "127.0.0.1", "--port", str(port), "--log-level", "warning"]
    command = [*DIES_WITH_US, sys.executable, "-m", "labpanel.door", *words]
    return subprocess.Popen(command, cwd=REPOSITORY, env=environment)


def _wait(server: subprocess.Popen[bytes], port: int) -> None:
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until and server.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/sign-in/", timeout=5).close()
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise AssertionError("the panel for the browser did not start")


def _make(days: int) -> dict[str, object]:
    """In the process of the new home: rows, an account, a session."""
    import django

    django.setup()
    from django.conf import settings
    from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.auth.models import User
    from django.utils import timezone

    from hosts.models import Host, Sample10s
    from labpanel.accounts.session_store import SessionStore
    from tests.pages import factory
    from tests.pages.lab import add_history, addresses, make_lab

    lab = make_lab()
    add_history(lab)
    # Slow machines need more than the minute for which a sample is fresh.
    later = timezone.now() + timedelta(minutes=20)
    Host.objects.update(seen_at=later, libvirt_seen_at=later)
    Sample10s.objects.all().delete()
    factory.make_samples(later, days=days)
    user = User.objects.create_superuser("olga", password="correct horse battery")
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session["_auth_user_backend"] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    name = settings.SESSION_COOKIE_NAME
    return {"cookie": f"{name}={session.session_key}", "pages": addresses(lab)}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_make(int(sys.argv[1]))))
