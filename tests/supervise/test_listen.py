"""LABPANEL_LISTEN: what is taken, what is refused with a sentence."""

import socket

import pytest

from labpanel.supervise.listen import BadListen, Listen, parse, settle


@pytest.mark.parametrize(
    ("text", "listen", "url"),
    [
        ("", Listen("127.0.0.1", 8000), "http://127.0.0.1:8000"),
        ("0.0.0.0:80", Listen("0.0.0.0", 80), "http://127.0.0.1:80"),  # noqa: S104 - only read
        ("[::1]:8000", Listen("::1", 8000), "http://[::1]:8000"),
        ("192.0.2.7:0", Listen("192.0.2.7", 0), "http://192.0.2.7:0"),
    ],
)
def test_taken(text: str, listen: Listen, url: str) -> None:
    assert parse(text) == listen
    assert listen.url == url


@pytest.mark.parametrize("text", ["8000", "host:", "host:web", "host:70000"])
def test_refused(text: str) -> None:
    with pytest.raises(BadListen, match="write ADDRESS:PORT"):
        parse(text)


def test_a_taken_port_is_named() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(
            BadListen, match=f"port {port} on 127.0.0.1 is used by .*LABPANEL_LISTEN"
        ):
            settle(Listen("127.0.0.1", port))


def test_port_nought_becomes_a_free_one() -> None:
    assert settle(Listen("127.0.0.1", 0)).port > 0
