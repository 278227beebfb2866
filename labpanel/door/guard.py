"""Around the ASGI application: which name was asked for, by whom, with how large a body."""

import html
import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from labpanel.door import limits
from labpanel.door.body import Bodies, Gone, Message, Receive, TooLarge, drain, replayed
from labpanel.door.names import Names
from labpanel.door.running import Counted, NoRoom
from labpanel.lib import client_address
from labpanel.lib.client_address import IPNetwork
from labpanel.lib.printable import printable
from labpanel.lib.said import Said

Scope = dict[str, Any]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

HEALTH = "/healthz"
# Words of proxies. From anybody else they are a stranger's words and go no further.
_FORWARDED = (b"x-forwarded-", b"forwarded", b"x-real-ip")
# Of HTTP's (RFC 9110); TRACE and CONNECT have no use here.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
log = logging.getLogger(__name__)


class RequestRefused(Said):
    def __init__(self, http_status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.http_status = http_status


class Guard:
    """What passes has a known name, a client's address that may be counted by, and a whole body."""

    def __init__(
        self, application: Application, *, proxies: Sequence[IPNetwork], names: Names
    ) -> None:
        self.application = application
        self.proxies = proxies
        self.names = names
        self.running = Counted(limits.RUNNING_FOR_ONE, limits.RUNNING_IN_ALL)
        self.bodies = Bodies()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.application(scope, receive, send)
            return
        try:
            await self._let_in(scope, receive, send)
        except RequestRefused as refused:
            await _say(scope, refused, receive, send)
        except Gone:
            return

    async def _let_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        if scope["path"] != HEALTH:  # asked by its address, whatever names the owner allows
            self._check_name(headers)
        if scope["method"] not in _METHODS:
            raise RequestRefused(
                405, f"The panel takes no {printable(scope['method'], 20)} requests."
            )
        scope, group = seen_through(scope, self.proxies)
        if _length(headers) > limits.BODY_BYTES:
            raise _too_large()
        try:
            body = await self.bodies.read(receive, group)
            with self._place(scope, group):
                await self.application(scope, replayed(body, receive), send)
        except TooLarge as error:
            raise _too_large() from error
        except TimeoutError as error:
            raise RequestRefused(408, "The request did not arrive in time.") from error
        except NoRoom as error:
            log.warning("a request from %s was refused: too many are being answered", group)
            sentence = "The panel is answering as many requests as it can. Try again in a moment."
            raise RequestRefused(503, sentence) from error

    def _place(self, scope: Scope, group: str) -> AbstractContextManager[None]:
        """Raises NoRoom. The supervisor's health check is let in even when it is full."""
        if scope["path"] == HEALTH and _on_this_machine(scope):
            return nullcontext()
        return self.running.one(group)

    def _check_name(self, headers: list[tuple[bytes, bytes]]) -> None:
        given = [value for name, value in headers if name == b"host"]
        if not given:
            return  # HTTP/1.0: Django takes the address that was connected to
        host = given[0].decode("latin-1")
        if len(given) > 1 or not self.names.serves(host):
            raise RequestRefused(
                400,
                f"The panel does not answer under the name {host[:100]!a}. If it is yours, set "
                "LABPANEL_URL or LABPANEL_ALLOWED_HOSTS on the panel's machine and start it again.",
            )


def seen_through(scope: Scope, proxies: Sequence[IPNetwork]) -> tuple[Scope, str]:
    """The request as the named proxies saw it, and what its client is counted by.

    Proxies' headers are taken away, so that nothing further in can believe a stranger's.
    """
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    peer = client_address.parse((scope.get("client") or ("",))[0])
    scheme = scope["scheme"]
    client = peer
    if client_address.is_among(peer, proxies):
        client = client_address.behind(peer, _joined(headers, b"x-forwarded-for"), proxies)
        said = _joined(headers, b"x-forwarded-proto").rpartition(",")[2].strip().lower()
        scheme = said if said in {"http", "https"} else scheme
    kept = [each for each in headers if not each[0].startswith(_FORWARDED)]
    changed = {**scope, "headers": kept, "scheme": scheme, "client": (str(client), 0)}
    return changed, client.group


def _on_this_machine(scope: Scope) -> bool:
    """By loopback, or by an address of its own to that very address."""
    client = client_address.parse(scope["client"][0])
    server = client_address.parse((scope.get("server") or ("",))[0])
    return client.ip is not None and (client.ip.is_loopback or client == server)


def _joined(headers: list[tuple[bytes, bytes]], wanted: bytes) -> str:
    return ",".join(value.decode("latin-1") for name, value in headers if name == wanted)


def _length(headers: list[tuple[bytes, bytes]]) -> int:
    for name, value in headers:
        if name == b"content-length" and value.isdigit():
            return int(value[:20])
    return 0


def _too_large() -> RequestRefused:
    return RequestRefused(413, f"The request is larger than {limits.BODY_BYTES >> 20} MiB.")


async def _say(scope: Scope, refused: RequestRefused, receive: Receive, send: Send) -> None:
    """One sentence, as JSON for a program, and the end of the connection."""
    if scope["path"].startswith("/api/"):
        kind, text = "application/json", json.dumps({"error": refused.sentence})
    else:
        sentence = html.escape(refused.sentence)
        kind = "text/html; charset=utf-8"
        text = (
            '<!doctype html><html lang="en"><meta name="viewport" content="width=device-width">'
            f"<title>Not answered · labpanel</title><h1>Not answered</h1><p>{sentence}</p></html>"
        )
    body = text.encode()
    headers = {
        "content-type": kind,
        "content-length": str(len(body)),
        "cache-control": "no-store",
        "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
        "x-content-type-options": "nosniff",
        "connection": "close",
    }
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": refused.http_status, "headers": raw})
    if scope["method"] != "HEAD":
        await send({"type": "http.response.body", "body": body, "more_body": True})
    await drain(receive)
    await send({"type": "http.response.body"})
