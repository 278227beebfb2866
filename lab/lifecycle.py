"""Bring a whole lab up, take it down, and say how it is."""

from __future__ import annotations

import shutil
from typing import Any

from lab import claim, guests, hosts, kernel, network, packages
from lab.hostconf import fingerprint
from lab.layout import ROOT, Layout, check_name
from lab.locks import exclusive
from lab.virsh import states

TURN = 300.0
"""Seconds to wait for another `up` or `down` of the same lab."""


def up(name: str) -> Layout:
    """Bring the lab up as far as it is not yet, and return its layout.

    Every step looks at what is there, so an `up` that was killed is finished
    by the next one, and a lab that runs is left as it is.
    """
    packages.require()
    with exclusive(check_name(name), timeout=TURN):
        layout = claim.claim(name)
        kernel.at_hand()
        network.make_bridge(layout)
        for host in layout.hosts.values():
            hosts.start(layout, host)
        for host in layout.hosts.values():
            hosts.await_ready(host)
        guests.seed(layout)
        return layout


def down(name: str) -> None:
    """Remove everything that `up` made, also after it was killed half-way."""
    with exclusive(check_name(name), timeout=TURN):
        layout = claim.read(name)
        if layout:
            claim.must_be_ours(layout)
            for host in layout.hosts.values():
                hosts.stop(host)
            network.remove_bridge(layout)
        folder = ROOT / name
        if folder.is_dir():
            for path in folder.iterdir():
                if path.is_dir():
                    shutil.rmtree(path)
                elif path.name != claim.CLAIM:
                    path.unlink()
        claim.forget(folder)


def status(layout: Layout) -> dict[str, Any]:
    """How the lab is.

    `{name, number, gateway, key, hosts: [{name, address, namespace, fingerprint, running,
    ssh, libvirt, guests: {name: state}}]}`; `guests` is empty while libvirt is silent.
    """
    rows = [
        {
            "name": host.name,
            "address": host.address,
            "namespace": host.namespace,
            "fingerprint": fingerprint(host),
            "running": hosts.running(host),
            "ssh": hosts.answers_ssh(host),
            "libvirt": hosts.answers_libvirt(host),
            "guests": states(host) if hosts.answers_libvirt(host) else {},
        }
        for host in layout.hosts.values()
    ]
    return {
        "name": layout.name,
        "number": layout.number,
        "gateway": layout.gateway,
        "key": str(layout.key),
        "hosts": rows,
    }
