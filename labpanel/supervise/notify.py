"""Telling systemd how the supervisor is (sd_notify(3)); without systemd it says nothing.

With WatchdogSec= in the unit systemd starts a supervisor again that hangs.
"""

import os
import socket

_address = os.environ.pop("NOTIFY_SOCKET", "")  # the panel's processes are not to speak for it


def say(state: str) -> None:
    """One of "READY=1", "WATCHDOG=1", "STOPPING=1"."""
    if not _address:
        return
    # "@" stands for the null byte of an abstract address (unix(7)).
    address = "\0" + _address[1:] if _address.startswith("@") else _address
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as client:
            client.settimeout(1.0)
            client.sendto(state.encode(), address)
    except OSError:
        pass  # systemd is gone or busy; the next one comes in seconds
