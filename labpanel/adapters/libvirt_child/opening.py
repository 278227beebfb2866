"""Opening the connection, with libvirt's event loop running and keep-alive set."""

import contextlib
import threading

import libvirt


def open_connection(uri: str) -> libvirt.virConnect:
    """Open `uri`; a daemon thread runs the event loop, without which the server's keep-alive
    would close the connection (facts: section 11)."""
    libvirt.virEventRegisterDefaultImpl()
    threading.Thread(target=_run_events, daemon=True).start()
    connection = libvirt.open(uri)
    with contextlib.suppress(libvirt.libvirtError):  # test:/// has no keep-alive
        connection.setKeepAlive(10, 3)
    return connection


def _run_events() -> None:
    while True:
        libvirt.virEventRunDefaultImpl()
