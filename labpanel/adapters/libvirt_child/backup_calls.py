"""Calls of one use: backing up a running domain in pull mode, and looking at one that was."""

import contextlib
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import libvirt


def backup_facts(connection: libvirt.virConnect, uuid: str) -> dict[str, Any]:
    """What a backup must know before it starts.

    `{"name", "id", "state", "active", "xml", "inactive_xml", "job", "libvirt", "qemu"}`; `xml` is
    the one that counts now (live if it runs), both with their secrets, since a restored VM needs
    them. `job` is true while libvirt works on the domain already.
    """
    domain = connection.lookupByUUIDString(uuid)
    active = bool(domain.isActive())
    secure = libvirt.VIR_DOMAIN_XML_SECURE
    inactive = libvirt.VIR_DOMAIN_XML_INACTIVE
    return {
        "name": domain.name(),
        "id": domain.ID(),
        "state": domain.state()[0],
        "active": active,
        "xml": domain.XMLDesc(secure),
        "inactive_xml": domain.XMLDesc(secure | inactive),
        "job": active and domain.jobInfo()[0] != libvirt.VIR_DOMAIN_JOB_NONE,
        "libvirt": connection.getLibVersion(),
        "qemu": connection.getVersion(),
    }


def backup_begin(
    connection: libvirt.virConnect, uuid: str, xml: str, freeze_seconds: int
) -> dict[str, Any]:
    """Start a pull backup of all listed disks at one instant: `{"quiesced", "why_not"}`.

    The guest's file systems are frozen around it when its agent answers within `freeze_seconds`;
    0 leaves the agent alone. They are thawed whatever happens, also after a freeze that failed:
    the guest may have frozen and failed only to say so.
    """
    domain = connection.lookupByUUIDString(uuid)
    why_not = _freeze(domain, freeze_seconds) if freeze_seconds else "not asked for"
    try:
        domain.backupBegin(xml, None)
    finally:
        if freeze_seconds:
            _thaw(domain)
    return {"quiesced": not why_not, "why_not": why_not}


def _freeze(domain: libvirt.virDomain, seconds: int) -> str:
    """Freeze; the reason if it did not work."""
    try:
        # The default waits for ever (facts 1.4).
        domain.agentSetResponseTimeout(seconds)
        domain.fsFreeze()
    except libvirt.libvirtError as error:
        return str(error.get_error_message())
    return ""


def _thaw(domain: libvirt.virDomain) -> bool:
    with contextlib.suppress(libvirt.libvirtError):  # nothing was frozen, or the agent is gone
        domain.fsThaw()
        return True
    return False


def thaw(connection: libvirt.virConnect, uuid: str) -> bool:
    """Thaw a guest that a killed backup may have left frozen; False if there was no answer."""
    with contextlib.suppress(libvirt.libvirtError):
        domain = connection.lookupByUUIDString(uuid)
        domain.agentSetResponseTimeout(5)
        return _thaw(domain)
    return False


def backup_xml(connection: libvirt.virConnect, uuid: str) -> str:
    """The running backup job's own description; empty if there is none or no such domain."""
    try:
        return str(connection.lookupByUUIDString(uuid).backupGetXMLDesc())
    except libvirt.libvirtError as error:
        if error.get_error_code() in {
            libvirt.VIR_ERR_NO_DOMAIN_BACKUP,
            libvirt.VIR_ERR_NO_DOMAIN,
            libvirt.VIR_ERR_OPERATION_INVALID,  # it does not run any more
        }:
            return ""
        raise


def abort_backup(connection: libvirt.virConnect, uuid: str, socket: str) -> bool:
    """End the pull backup whose NBD socket is `socket` (for pull that is the normal end); False
    if there is none. Another's job is never touched."""
    description = backup_xml(connection, uuid)
    if not description:
        return False
    server = ElementTree.fromstring(description).find("server")  # noqa: S314 - libvirt's own
    if server is None or server.get("socket") != socket:
        return False
    connection.lookupByUUIDString(uuid).abortJob()
    return True


def networks(connection: libvirt.virConnect) -> list[str]:
    """Names of the virtual networks that are active."""
    return [network.name() for network in connection.listAllNetworks() if network.isActive()]


def uuid_of(connection: libvirt.virConnect, called: str) -> str:
    """The UUID of the domain that has this name; empty if none has."""
    try:
        return str(connection.lookupByName(called).UUIDString())
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
            raise
        return ""


CALLS: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        backup_facts,
        backup_begin,
        thaw,
        backup_xml,
        abort_backup,
        networks,
        uuid_of,
    )
}
