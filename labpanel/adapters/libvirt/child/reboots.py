"""When guests rebooted, as libvirt's events told it since this connection was opened.

A guest that reboots keeps its QEMU and libvirt's number of the run (virDomainGetID): nothing but
the event VIR_DOMAIN_EVENT_ID_REBOOT shows it. Times are of the panel's machine, where this runs.
"""

import contextlib
import time
from collections import deque
from typing import Any

import libvirt

MOST_DOMAINS = 1000
KEPT = 10
_times: dict[str, deque[float]] = {}
_watched: set[int] = set()


def watch(connection: libvirt.virConnect) -> None:
    """From now on. A driver without such events shows no reboot."""
    if id(connection) in _watched:
        return
    _watched.add(id(connection))
    with contextlib.suppress(libvirt.libvirtError):
        kind = libvirt.VIR_DOMAIN_EVENT_ID_REBOOT
        connection.domainEventRegisterAny(None, kind, _rebooted, None)


def times_of(uuid: str) -> list[float]:
    """The newest KEPT, oldest first."""
    return list(_times.get(uuid, ()))


def _rebooted(_: Any, domain: libvirt.virDomain, __: Any) -> None:
    with contextlib.suppress(libvirt.libvirtError):
        uuid = domain.UUIDString()
        if uuid in _times or len(_times) < MOST_DOMAINS:
            _times.setdefault(uuid, deque(maxlen=KEPT)).append(time.time())
