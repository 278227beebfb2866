"""Whose request it is: proxies are believed by name, IPv6 is counted by /64."""

from ipaddress import ip_network

import pytest

from labpanel.lib.client_address import behind, parse

PROXIES = (ip_network("127.0.0.1"), ip_network("10.0.0.0/24"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("text", "group"),
    [
        ("192.0.2.7", "192.0.2.7"),
        (" 192.0.2.7:1234 ", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2::9]:443", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("64:ff9b::192.0.2.7", "192.0.2.7"),
        ("", "unknown"),
        ("unix:", "unknown"),
        ("_hidden", "unknown"),
        ("1.2.3.4.5", "unknown"),
        ("0x7f.1", "unknown"),
        ("9" * 5000, "unknown"),
    ],
)
def test_what_it_is_counted_by(text: str, group: str) -> None:
    assert parse(text).group == group


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        # A stranger's own words
        ("192.0.2.7", "1.1.1.1", "192.0.2.7"),
        ("192.0.2.7", "", "192.0.2.7"),
        # One proxy: what it appended counts, not what the client wrote before it
        ("127.0.0.1", "1.1.1.1, 192.0.2.7", "192.0.2.7"),
        ("::ffff:127.0.0.1", "192.0.2.7", "192.0.2.7"),
        ("127.0.0.1", "2001:db8::1", "2001:db8::1"),
        # Two
        ("127.0.0.1", "1.1.1.1, 192.0.2.7, 10.0.0.9", "192.0.2.7"),
        # A proxy that says nothing usable is itself the client
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "192.0.2.7, nonsense", "127.0.0.1"),
        ("127.0.0.1", "192.0.2.7, nonsense, 10.0.0.9", "10.0.0.9"),
        ("127.0.0.1", "10.0.0.8, 10.0.0.9", "10.0.0.8"),
        ("127.0.0.1", "192.0.2.7, " + ",".join(["10.0.0.9"] * 10_000), "10.0.0.9"),
    ],
)
def test_the_rightmost_address_that_is_no_proxy(peer: str, forwarded: str, client: str) -> None:
    assert str(behind(parse(peer), forwarded, PROXIES)) == client
