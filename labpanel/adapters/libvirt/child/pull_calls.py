"""Calls about VMs that run on borrowed blocks: what is still borrowed, and pulling it in."""

from collections.abc import Callable
from typing import Any

import libvirt

from labpanel.adapters.libvirt.xml.instant_xml import borrows


def borrowed(connection: libvirt.virConnect, uuid: str) -> dict[str, Any]:
    """`{"known", "active", "state", "reason", "xml", "borrowed": targets that have a backing file,
    "jobs": {target: {"done", "total"}}}`; `xml` is the persistent definition with its secrets."""
    try:
        domain = connection.lookupByUUIDString(uuid)
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
            raise
        return {"known": False}
    active = bool(domain.isActive())
    secure, inactive = libvirt.VIR_DOMAIN_XML_SECURE, libvirt.VIR_DOMAIN_XML_INACTIVE
    targets = borrows(domain.XMLDesc(0 if active else inactive))
    state, reason = domain.state()
    return {
        "known": True,
        "active": active,
        "state": state,
        "reason": reason,
        "xml": domain.XMLDesc(secure | inactive) if domain.isPersistent() else "",
        "borrowed": targets,
        "jobs": {target: job for target in targets if active and (job := _job(domain, target))},
    }


def _job(domain: libvirt.virDomain, target: str) -> dict[str, int] | None:
    info = domain.blockJobInfo(target, libvirt.VIR_DOMAIN_BLOCK_JOB_INFO_BANDWIDTH_BYTES)
    return {"done": int(info["cur"]), "total": int(info["end"])} if info else None


def pull(connection: libvirt.virConnect, uuid: str, target: str, bytes_per_second: int) -> None:
    """Begin to copy what is below a disk into it; 0 is as fast as it goes."""
    connection.lookupByUUIDString(uuid).blockPull(
        target, bytes_per_second, libvirt.VIR_DOMAIN_BLOCK_PULL_BANDWIDTH_BYTES
    )


def stored(connection: libvirt.virConnect, uuid: str) -> dict[str, Any]:
    """What forbids putting other disks below a domain that is off: `{"known", "active", "xml",
    "snapshots", "managed_save", "name"}`."""
    try:
        domain = connection.lookupByUUIDString(uuid)
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
            raise
        return {"known": False}
    return {
        "known": True,
        "name": domain.name(),
        "active": bool(domain.isActive()),
        "xml": domain.XMLDesc(libvirt.VIR_DOMAIN_XML_SECURE | libvirt.VIR_DOMAIN_XML_INACTIVE),
        "snapshots": domain.snapshotNum(),
        "managed_save": bool(domain.hasManagedSaveImage()),
    }


def drop_checkpoint_records(connection: libvirt.virConnect, uuid: str, prefix: str) -> list[str]:
    """Make libvirt forget checkpoints whose name begins so, without touching an image; their
    names. Allowed of a domain that is off, unlike removing the bitmaps."""
    domain = connection.lookupByUUIDString(uuid)
    gone = []
    for checkpoint in domain.listAllCheckpoints():
        name = checkpoint.getName()
        if name.startswith(prefix):
            checkpoint.delete(libvirt.VIR_DOMAIN_CHECKPOINT_DELETE_METADATA_ONLY)
            gone.append(name)
    return gone


CALLS: dict[str, Callable[..., Any]] = {
    function.__name__: function for function in (borrowed, pull, stored, drop_checkpoint_records)
}
