"""Cables: one bridge in the root namespace, one veth pair per host.

    root: lp<n> (10.77.<n>.254) -- lp<n>-alpha ==veth== eth0 -- br0 :alpha

`br0` inside each host also carries its guests, so that all guests of the lab
share one network and keep their addresses when they move.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lab.commands import run, succeeds
from lab.namespace import exists

if TYPE_CHECKING:
    from lab.layout import Host, Layout

LINKS = Path("/sys/class/net")


def _ip(*words: str) -> None:
    run(["ip", *words], timeout=20)


def _inside(host: Host, *words: str) -> None:
    _ip("-n", host.namespace, *words)


def make_bridge(layout: Layout) -> None:
    """Make the root namespace's bridge with the panel's address on it."""
    if not (LINKS / layout.bridge).exists():
        _ip("link", "add", layout.bridge, "type", "bridge", "forward_delay", "0")
    # Without fdb entries of its own the bridge would take the lowest port's address and
    # change it as hosts come and go.
    mac = f"52:54:00:4d:{layout.number:02x}:fe"
    _ip("link", "set", layout.bridge, "address", mac, "up")
    _ip("address", "replace", f"{layout.gateway}/24", "dev", layout.bridge)


def connect(layout: Layout, host: Host) -> None:
    """Make the host's network namespace and plug its cable into the bridge."""
    if not exists(host):
        _ip("netns", "add", host.namespace)
    if not (LINKS / host.cable).exists():
        peer = ["peer", "name", "eth0", "netns", host.namespace]
        _ip("link", "add", host.cable, "type", "veth", *peer)
    if not succeeds(["ip", "-n", host.namespace, "link", "show", "br0"]):
        _inside(host, "link", "add", "br0", "type", "bridge", "forward_delay", "0")
    mac = f"52:54:00:4d:{layout.number:02x}:{host.address.rpartition('.')[2].zfill(2)}"
    _inside(host, "link", "set", "lo", "up")
    _inside(host, "link", "set", "br0", "address", mac, "up")
    _inside(host, "link", "set", "eth0", "master", "br0", "up")
    _inside(host, "address", "replace", f"{host.address}/24", "dev", "br0")
    _ip("link", "set", host.cable, "master", layout.bridge)
    plug(host)


def plug(host: Host) -> None:
    """Bring the host's cable up."""
    _ip("link", "set", host.cable, "up")


def unplug(host: Host) -> None:
    """Take the host's cable down: nothing reaches it or its guests any more."""
    _ip("link", "set", host.cable, "down")


def disconnect(host: Host) -> None:
    """Remove the host's cable and namespace; its processes must have ended."""
    if (LINKS / host.cable).exists():
        _ip("link", "delete", host.cable)
    if exists(host):
        _ip("netns", "delete", host.namespace)


def remove_bridge(layout: Layout) -> None:
    """Remove the root namespace's bridge."""
    if (LINKS / layout.bridge).exists():
        _ip("link", "delete", layout.bridge)
