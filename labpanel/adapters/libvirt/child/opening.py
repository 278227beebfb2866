"""Opening the connection, with libvirt's event loop running and keep-alive set."""

import contextlib
import threading

import libvirt

from labpanel.adapters.libvirt.child.limits import bound_memory


def open_connection(uri: str) -> libvirt.virConnect:
    """Open `uri`. A daemon thread runs the event loop: libvirt answers keep-alive messages only
    there (virConnectSetKeepAlive), and the server closes a connection that does not answer."""
    libvirt.virEventRegisterDefaultImpl()
    threading.Thread(target=_run_events, daemon=True).start()
    bound_memory()
    connection = libvirt.open(uri)
    with contextlib.suppress(libvirt.libvirtError):  # test:/// has no keep-alive
        connection.setKeepAlive(10, 3)
    return connection


def _run_events() -> None:
    while True:
        libvirt.virEventRunDefaultImpl()
