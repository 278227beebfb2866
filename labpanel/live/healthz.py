"""/healthz: does the panel itself work? For the supervisor, container engines and proxies."""

import logging

import redis
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

REDIS_SECONDS = 2
log = logging.getLogger(__name__)


@login_not_required
@never_cache
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """200 and `{"database": "ok", "redis": "ok"}`, or 503 and what does not answer.

    Only the words: whoever asks is not signed in. Why is in the log.
    """
    answers = {"database": _database(), "redis": _redis()}
    status = 200 if all(answer == "ok" for answer in answers.values()) else 503
    return JsonResponse(answers, status=status)


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            cursor.fetchone()
    except DatabaseError as error:
        log.error("the database does not answer: %s", error)
        return "does not answer"
    return "ok"


def _redis() -> str:
    client = redis.Redis.from_url(
        settings.REDIS_URL, socket_timeout=REDIS_SECONDS, socket_connect_timeout=REDIS_SECONDS
    )
    try:
        client.ping()
    except redis.RedisError as error:
        log.error("redis does not answer: %s", error)
        return "does not answer"
    finally:
        client.close()
    return "ok"
