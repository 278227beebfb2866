"""Calls about libvirt's checkpoints: QEMU's records of what changed on a disk since an instant.

Nothing but the named checkpoints is ever touched: others may be another program's.
"""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

import libvirt

_GONE = {libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_NO_DOMAIN_CHECKPOINT}


def checkpoints(connection: libvirt.virConnect, uuid: str) -> list[str]:
    """Names of all checkpoints of a domain, anybody's; none for a domain that is not there."""
    try:
        domain = connection.lookupByUUIDString(uuid)
        return [checkpoint.getName() for checkpoint in domain.listAllCheckpoints()]
    except libvirt.libvirtError as error:
        if error.get_error_code() not in _GONE:
            raise
        return []


def checkpoints_in_the_way(connection: libvirt.virConnect, prefix: str) -> dict[str, list[str]]:
    """Of the running domains that have snapshots, the checkpoints whose names begin with `prefix`,
    by UUID: while they exist no snapshot can be loaded."""
    found = {}
    for domain in connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE):
        with contextlib.suppress(libvirt.libvirtError):  # it ended while we looked
            if domain.snapshotNum():
                names = [checkpoint.getName() for checkpoint in domain.listAllCheckpoints()]
                ours = [name for name in names if name.startswith(prefix)]
                found.update({domain.UUIDString(): ours} if ours else {})
    return found


def prove_checkpoint(connection: libvirt.virConnect, uuid: str, checkpoint: str) -> str:
    """Have libvirt hold a checkpoint's bitmaps in the running QEMU against its description
    (REDEFINE_VALIDATE): empty if all are whole, else libvirt's own words, which name the disk."""
    domain = connection.lookupByUUIDString(uuid)
    flags = (
        libvirt.VIR_DOMAIN_CHECKPOINT_CREATE_REDEFINE
        | libvirt.VIR_DOMAIN_CHECKPOINT_CREATE_REDEFINE_VALIDATE
    )
    try:
        known = domain.checkpointLookupByName(checkpoint)
        domain.checkpointCreateXML(
            known.getXMLDesc(libvirt.VIR_DOMAIN_CHECKPOINT_XML_SECURE), flags
        )
    except libvirt.libvirtError as error:
        return str(error.get_error_message() or error)
    return ""


def forget_checkpoints(
    connection: libvirt.virConnect, uuid: str, names: Sequence[str], targets: Sequence[str]
) -> list[str]:
    """Remove checkpoints of a running domain and their bitmaps; those that went.

    One that libvirt does not know (any more) is made known first, or its bitmap could never be
    removed: after a live migration, for one. `targets` are the domain's disks. Of a domain that is
    off nothing is removed, since libvirt cannot.
    """
    try:
        domain = connection.lookupByUUIDString(uuid)
    except libvirt.libvirtError as error:
        if error.get_error_code() not in _GONE:
            raise
        return []
    if not domain.isActive():
        return []
    return [name for name in names if _forget(domain, name, targets)]


def _forget(domain: libvirt.virDomain, name: str, targets: Sequence[str]) -> bool:
    """At once if every bitmap is there; else one disk after the other, since libvirt stops at the
    first that lacks its bitmap. True if there was anything to remove."""
    known = _delete(domain, name)
    if known:
        return True
    found = False
    for target in targets:
        try:
            domain.checkpointCreateXML(
                _minimal(name, target), libvirt.VIR_DOMAIN_CHECKPOINT_CREATE_REDEFINE
            )
        except libvirt.libvirtError:
            continue  # no qcow2 disk: it never had a bitmap
        found = _delete(domain, name) or found
    return found


def _delete(domain: libvirt.virDomain, name: str) -> bool:
    """Remove one checkpoint with its bitmaps; if they are not there, only what libvirt knows of
    it, and False."""
    try:
        checkpoint = domain.checkpointLookupByName(name)
    except libvirt.libvirtError as error:
        if error.get_error_code() not in _GONE:
            raise
        return False
    try:
        checkpoint.delete()
    except libvirt.libvirtError:
        checkpoint.delete(libvirt.VIR_DOMAIN_CHECKPOINT_DELETE_METADATA_ONLY)
        return False
    return True


def _minimal(name: str, target: str) -> str:
    """As little as a redefinition takes: it is deleted at once."""
    root = Element("domaincheckpoint")
    SubElement(root, "name").text = name
    SubElement(root, "creationTime").text = "1"
    SubElement(SubElement(root, "disks"), "disk", name=target, checkpoint="bitmap")
    return tostring(root, encoding="unicode")


CALLS: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (checkpoints, checkpoints_in_the_way, prove_checkpoint, forget_checkpoints)
}
