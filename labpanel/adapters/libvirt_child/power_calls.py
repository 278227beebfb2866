"""Calls that define, start and stop domains."""

from collections.abc import Callable
from typing import Any

import libvirt


def state(connection: libvirt.virConnect, uuid: str) -> dict[str, Any]:
    """`{"known", "state", "reason", "id"}`; an unknown UUID is an answer, not an error."""
    try:
        domain = connection.lookupByUUIDString(uuid)
        current, reason = domain.state()
        return {"known": True, "state": current, "reason": reason, "id": domain.ID()}
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
            raise
        return {"known": False, "state": None, "reason": None, "id": -1}


def define(connection: libvirt.virConnect, xml: str) -> dict[str, str]:
    domain = connection.defineXMLFlags(xml, libvirt.VIR_DOMAIN_DEFINE_VALIDATE)
    return {"uuid": domain.UUIDString(), "name": domain.name()}


def undefine(connection: libvirt.virConnect, uuid: str) -> None:
    """Forget the domain; its disks, NVRAM and TPM state stay where they are."""
    connection.lookupByUUIDString(uuid).undefineFlags(
        libvirt.VIR_DOMAIN_UNDEFINE_KEEP_NVRAM
        | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
        | libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
    )


def start(connection: libvirt.virConnect, uuid: str, *, paused: bool = False) -> None:
    flags = libvirt.VIR_DOMAIN_START_PAUSED if paused else 0
    connection.lookupByUUIDString(uuid).createWithFlags(flags)


def resume(connection: libvirt.virConnect, uuid: str) -> None:
    connection.lookupByUUIDString(uuid).resume()


def suspend(connection: libvirt.virConnect, uuid: str) -> None:
    connection.lookupByUUIDString(uuid).suspend()


def shutdown(connection: libvirt.virConnect, uuid: str) -> None:
    connection.lookupByUUIDString(uuid).shutdown()


def reboot(connection: libvirt.virConnect, uuid: str) -> None:
    connection.lookupByUUIDString(uuid).reboot()


def destroy(connection: libvirt.virConnect, uuid: str) -> None:
    """Pull the plug; the definition stays."""
    connection.lookupByUUIDString(uuid).destroy()


def set_autostart(connection: libvirt.virConnect, uuid: str, *, on: bool) -> None:
    connection.lookupByUUIDString(uuid).setAutostart(int(on))


CALLS: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        state,
        define,
        undefine,
        start,
        resume,
        suspend,
        shutdown,
        reboot,
        destroy,
        set_autostart,
    )
}
