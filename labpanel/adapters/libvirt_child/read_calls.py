"""Calls that only look: versions, all domains, the bulk statistics."""

import contextlib
from collections.abc import Callable
from typing import Any

import libvirt

# Debian 12's libvirt can crash on monitoring during a backup without NOWAIT (fixed in 10.8).
_STATS = (
    libvirt.VIR_DOMAIN_STATS_STATE
    | libvirt.VIR_DOMAIN_STATS_CPU_TOTAL
    | libvirt.VIR_DOMAIN_STATS_BALLOON
    | libvirt.VIR_DOMAIN_STATS_VCPU
    | libvirt.VIR_DOMAIN_STATS_INTERFACE
    | libvirt.VIR_DOMAIN_STATS_BLOCK
)


def versions(connection: libvirt.virConnect) -> dict[str, Any]:
    """libvirt's and the hypervisor's versions as integers (1 000 000 × major + 1 000 × minor)."""
    return {
        "libvirt": connection.getLibVersion(),
        "hypervisor": connection.getVersion(),
        "hostname": connection.getHostname(),
        "type": connection.getType(),
    }


def stats(connection: libvirt.virConnect) -> dict[str, Any]:
    """One bulk call over all running domains: UUID → libvirt's own field names, and the domain's
    "id", which another start changes (it is known here: no further call)."""
    flags = (
        libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_RUNNING
        | libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT
    )
    found = connection.getAllDomainStats(_STATS, flags)
    return {domain.UUIDString(): {**fields, "id": domain.ID()} for domain, fields in found}


def inventory(connection: libvirt.virConnect) -> list[dict[str, Any]]:
    """Every domain: state, live and persistent XML. One that vanishes meanwhile is left out."""
    domains = []
    for domain in connection.listAllDomains():
        with contextlib.suppress(libvirt.libvirtError):
            domains.append(_describe(domain))
    return domains


def _describe(domain: libvirt.virDomain) -> dict[str, Any]:
    state, reason = domain.state()
    persistent = bool(domain.isPersistent())
    secure_inactive = libvirt.VIR_DOMAIN_XML_INACTIVE
    return {
        "uuid": domain.UUIDString(),
        "name": domain.name(),
        "id": domain.ID(),
        "state": state,
        "reason": reason,
        "persistent": persistent,
        "autostart": bool(domain.autostart()) if persistent else False,
        "xml": domain.XMLDesc(0),
        "inactive_xml": domain.XMLDesc(secure_inactive) if persistent else "",
    }


def block_info(connection: libvirt.virConnect, uuid: str, target: str) -> dict[str, int]:
    """Capacity, allocation and physical size of one virtual disk, in bytes."""
    capacity, allocation, physical = connection.lookupByUUIDString(uuid).blockInfo(target)
    return {"capacity": capacity, "allocation": allocation, "physical": physical}


def disk_sizes(connection: libvirt.virConnect) -> dict[str, dict[str, list[int | None]]]:
    """UUID → target → [capacity, allocation] in bytes, of the VMs that are on. NOWAIT: a VM whose
    QEMU is busy is passed over."""
    flags = (
        libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE
        | libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT
    )
    found = connection.getAllDomainStats(libvirt.VIR_DOMAIN_STATS_BLOCK, flags)
    return {domain.UUIDString(): _sizes(fields) for domain, fields in found}


def _sizes(fields: dict[str, Any]) -> dict[str, list[int | None]]:
    return {
        fields[f"block.{i}.name"]: [
            fields.get(f"block.{i}.capacity"),
            fields.get(f"block.{i}.allocation"),
        ]
        for i in range(fields.get("block.count", 0))
        if f"block.{i}.name" in fields
    }


CALLS: dict[str, Callable[..., Any]] = {
    "versions": versions,
    "stats": stats,
    "inventory": inventory,
    "block_info": block_info,
    "disk_sizes": disk_sizes,
}
