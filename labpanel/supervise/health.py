"""Asking the web process whether it answers."""

import http.client
import urllib.parse


def answers(url: str, *, seconds: float = 3.0) -> bool:
    """True when URL/healthz says 200 within `seconds`."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=seconds)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
