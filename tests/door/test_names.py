"""Which Host headers are answered."""

import os

import pytest

from labpanel.door.names import origin_of, served

OWN = os.uname().nodename.partition(".")[0].lower()


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "localhost:8000", "LOCALHOST.", "127.0.0.1:8000", "[::1]:8000"),
        *("192.0.2.7", "[2001:db8::1]:8000", OWN, f"{OWN}.local:8000", f"{OWN.upper()}.lan"),
        *("lab.example", "lab.example:443"),
    ],
)
def test_served_by_default(host: str) -> None:
    assert served([], "https://lab.example/").serves(host)


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "lab.example.evil.example", "xlab.example", "127.0.0.1.evil.example"),
        *("localhost.evil.example", "", ":8000", "[::1", "lab.example@evil.example", "a b"),
        *("lab.example:80:80", "lab.example/x", "lab.example\0", "\xe9vil", "1" * 5000),
        *("0x7f.1", "2130706433"),
    ],
)
def test_refused_by_default(host: str) -> None:
    assert not served([], "https://lab.example/").serves(host)


def test_what_is_given_takes_the_place_of_the_own_names() -> None:
    names = served(["one.example", ".two.example"], "https://lab.example")
    for host in ("one.example", "a.two.example", "lab.example", "127.0.0.1"):
        assert names.serves(host), host
    for host in ("192.0.2.7", f"{OWN}.local", "x.one.example"):
        assert not names.serves(host), host


def test_any_only_when_said() -> None:
    assert served(["*"], "").serves("evil.example")
    assert not served(["*"], "").serves("evil.example\n")


def test_the_origin_of_the_url() -> None:
    assert origin_of("https://lab.example:8443/panel/") == ["https://lab.example:8443"]
    assert origin_of("") == []
