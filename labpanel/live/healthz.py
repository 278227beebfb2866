"""/healthz: does the panel itself work? For the supervisor, container engines and proxies."""

import contextlib
import logging
import os
import time
from collections.abc import Iterator

from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, connection
from django.db.models import F
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from labpanel.adapters.here import home_disk
from labpanel.adapters.redis import health
from labpanel.clock.models import ClockWatch
from labpanel.clock.services.look import ROW, look
from labpanel.lib import instance
from labpanel.lib.room import NEARLY, OK
from labpanel.lib.single_flight import single_flight

WRITE_SECONDS = 2.0
WRITE_EVERY = 5.0
log = logging.getLogger(__name__)
_written: tuple[float, str] = (-WRITE_EVERY, "ok")


@login_not_required
@never_cache
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """200 and `{"database": "ok", "redis": "ok", "disk": "ok", "free_bytes": 9, "instance": "…"}`,
    or 503 and what does not answer or cannot be written. `instance` tells the supervisor that its
    own web process answers (lib/instance.py).

    Only the words: who asks is not signed in. Why is in the log.
    """
    room = home_disk.room()
    answers = {
        "database": _database(),
        "redis": "ok" if health.answers() else "does not answer",
        "disk": room.word if room else "does not answer",
    }
    well = answers["disk"] in {OK, NEARLY}
    status = 200 if well and answers["database"] == answers["redis"] == "ok" else 503
    whose = {instance.FIELD: instance.digest(os.environ.get(instance.VARIABLE, ""))}
    free = {"free_bytes": room and room.free_bytes}
    return JsonResponse({**answers, **free, **whose}, status=status)


def _database() -> str:
    """A real write, of a row as it is; at most one in WRITE_EVERY seconds, however often it is
    asked for."""
    global _written
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            cursor.fetchone()
    except DatabaseError as error:
        log.error("the database does not answer: %s", error)
        return "does not answer"
    with single_flight("healthz") as mine:
        if mine and time.monotonic() - _written[0] >= WRITE_EVERY:
            answer = _write()
            _written = (time.monotonic(), answer)
    return _written[1]


def _write() -> str:
    try:
        with _waiting_for(WRITE_SECONDS):
            if not ClockWatch.objects.filter(pk=ROW).update(uptime=F("uptime")):
                look()
    except DatabaseError as error:
        log.error("the database cannot be written: %s", error)
        return "cannot be written"
    return "ok"


@contextlib.contextmanager
def _waiting_for(seconds: float) -> Iterator[None]:
    """SQLite waits for a lock as long as settings.DATABASES says: too long for a health check."""
    if connection.vendor != "sqlite":
        yield
        return
    usual = float(connection.settings_dict["OPTIONS"].get("timeout", 5))
    try:
        _set_busy_timeout(seconds)
        yield
    finally:
        _set_busy_timeout(usual)


def _set_busy_timeout(seconds: float) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA busy_timeout = {int(seconds * 1000)}")
