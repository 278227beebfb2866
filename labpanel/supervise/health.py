"""Asking the web process and redis whether they answer."""

import http.client
import json
import socket
import urllib.parse

from labpanel.lib import instance

ANSWER_SECONDS = 10.0
LARGEST = 65_536  # bytes of an answer


def answers(url: str, token: str = "", *, seconds: float = 3.0) -> bool:
    """True when URL/healthz says 200 within `seconds`, and with the digest of `token`."""
    heard = _asked(url, seconds)
    return heard is not None and heard[0] == 200 and is_of(_read(heard[1]), token)


def says(url: str, *, seconds: float = ANSWER_SECONDS) -> dict[str, object] | None:
    """What URL/healthz says, None when it says nothing. A panel that cannot write answers 503, and
    is well enough to say so: to start it again would not make room on the disk."""
    heard = _asked(url, seconds)
    return None if heard is None else _read(heard[1])


def is_of(said: dict[str, object], token: str) -> bool:
    """Whether the web process that said this was started with `token`; "" asks for none."""
    return not token or said.get(instance.FIELD) == instance.digest(token)


def _read(content: bytes) -> dict[str, object]:
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _asked(url: str, seconds: float) -> tuple[int, bytes] | None:
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=seconds)
    try:
        connection.request("GET", "/healthz")
        response = connection.getresponse()
        return response.status, response.read(LARGEST)
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def is_well(said: dict[str, object]) -> bool:
    """Whether an answer of /healthz is that of a panel that works."""
    return said.get("database") == said.get("redis") == "ok" and said.get("disk") != "full"


def pongs(url: str, *, seconds: float = ANSWER_SECONDS) -> bool:
    """True when the redis at unix://PATH or redis://HOST:PORT answers PING (redis.io, protocol:
    inline commands). One that wants a password first answers, too."""
    parts = urllib.parse.urlsplit(url)
    unix = parts.scheme == "unix"
    address = parts.path if unix else (parts.hostname or "127.0.0.1", parts.port or 6379)
    with socket.socket(socket.AF_UNIX if unix else socket.AF_INET) as client:
        client.settimeout(seconds)
        try:
            client.connect(address)
            client.sendall(b"PING\r\n")
            return client.recv(64).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False
