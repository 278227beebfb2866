"""Calls that define, start and stop domains."""

from collections.abc import Callable
from typing import Any

import libvirt

from labpanel.adapters.answers import safe_xml
from labpanel.adapters.errors import Refused

_KEEPS_TPM = 8_009_000  # libvirt 8.9.0
_KEEP_TPM = 1 << 6  # VIR_DOMAIN_UNDEFINE_KEEP_TPM, which bindings before 8.9 have no name for


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


def undefine(
    connection: libvirt.virConnect, uuid: str, *, snapshots: bool = False, keep_tpm: bool = False
) -> None:
    """Forget the domain; its disks and NVRAM stay where they are. One that has snapshots is
    refused, unless what libvirt knows of `snapshots` may go.

    libvirt deletes the state of a TPM with the definition unless it is told to keep it
    (qemu_extdevice.c, qemuExtTPMCleanupHost), which it can be since 8.9: an earlier one is not
    asked at all where there is a TPM to keep."""
    domain = connection.lookupByUUIDString(uuid)
    flags = (
        libvirt.VIR_DOMAIN_UNDEFINE_KEEP_NVRAM
        | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
        | libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
    )
    if snapshots:
        flags |= libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
    if keep_tpm and _has_tpm(domain):
        if connection.getLibVersion() < _KEEPS_TPM:
            raise Refused(
                "This libvirt is older than 8.9 and would delete the state of the VM's TPM with "
                "its definition. The VM is still defined."
            )
        flags |= _KEEP_TPM
    domain.undefineFlags(flags)


def _has_tpm(domain: libvirt.virDomain) -> bool:
    xml = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    return safe_xml.parse(xml).find("devices/tpm/backend[@type='emulator']") is not None


def start(connection: libvirt.virConnect, uuid: str) -> None:
    connection.lookupByUUIDString(uuid).create()


def resume(connection: libvirt.virConnect, uuid: str) -> None:
    connection.lookupByUUIDString(uuid).resume()


def shutdown(connection: libvirt.virConnect, uuid: str) -> None:
    connection.lookupByUUIDString(uuid).shutdown()


def reboot(connection: libvirt.virConnect, uuid: str) -> None:
    connection.lookupByUUIDString(uuid).reboot()


def reset(connection: libvirt.virConnect, uuid: str) -> None:
    """The reset button: the guest is not asked."""
    connection.lookupByUUIDString(uuid).reset()


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
        shutdown,
        reboot,
        reset,
        destroy,
        set_autostart,
    )
}
