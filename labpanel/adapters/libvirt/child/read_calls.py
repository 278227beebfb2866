"""Calls that only look: versions, all domains, the bulk statistics."""

import contextlib
import re
from collections.abc import Callable
from typing import Any

import libvirt

from labpanel.adapters.answers import safe_xml
from labpanel.adapters.libvirt.child import reboots

# Debian 12's libvirt can crash on monitoring during a backup without NOWAIT (fixed in 10.8).
_STATS = (
    libvirt.VIR_DOMAIN_STATS_STATE
    | libvirt.VIR_DOMAIN_STATS_CPU_TOTAL
    | libvirt.VIR_DOMAIN_STATS_BALLOON
    | libvirt.VIR_DOMAIN_STATS_VCPU
    | libvirt.VIR_DOMAIN_STATS_INTERFACE
    | libvirt.VIR_DOMAIN_STATS_BLOCK
)

# A host has far fewer; what is beyond is left out and told.
MOST_DOMAINS = 1000
_MOST_DEVICES = 512
# An XML of one domain that is longer is put aside; all together fit into one answer.
MOST_XML, _MOST_XML_IN_ALL = 256 << 10, 4 << 20
_MOST_WORD = 255
# The fields that the panel samples (hosts/rules/vm_rates.py), of all that a libvirt may send.
_SAMPLED = re.compile(
    r"cpu\.time|balloon\.(?:current|available|unused|usable)"
    r"|vcpu\.(?:current|maximum|\d{1,3}\.(?:state|delay))"
    r"|net\.(?:count|\d{1,3}\.(?:name|rx\.bytes|tx\.bytes))"
    r"|block\.(?:count|\d{1,3}\.(?:name|(?:rd|wr)\.(?:bytes|reqs|times)))"
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
    return {
        domain.UUIDString(): {**_sampled(fields), "id": domain.ID()}
        for domain, fields in found[:MOST_DOMAINS]
    }


def _sampled(fields: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value[:_MOST_WORD] if isinstance(value, str) else value
        for name, value in fields.items()
        if len(name) < _MOST_WORD and _SAMPLED.fullmatch(name)
    }


def inventory(connection: libvirt.virConnect) -> list[dict[str, Any]]:
    """Every domain: state, live and persistent XML. One that vanishes meanwhile is left out.

    An XML that is too long, or for which there is no room any more, is not sent: "".
    """
    reboots.watch(connection)
    domains, room = [], _MOST_XML_IN_ALL
    for domain in connection.listAllDomains()[:MOST_DOMAINS]:
        with contextlib.suppress(libvirt.libvirtError):
            found = _describe(domain)
            for name in ("xml", "inactive_xml"):
                found[name] = found[name] if len(found[name]) <= min(MOST_XML, room) else ""
                room -= len(found[name])
            domains.append(found)
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
        "rebooted": reboots.times_of(domain.UUIDString()),
        "persistent": persistent,
        "autostart": bool(domain.autostart()) if persistent else False,
        "xml": domain.XMLDesc(0),
        "inactive_xml": domain.XMLDesc(secure_inactive) if persistent else "",
    }


def pool_folders(connection: libvirt.virConnect) -> list[str]:
    """Where the storage pools keep their volumes; none where libvirt has no storage driver."""
    found = []
    with contextlib.suppress(libvirt.libvirtError):
        for pool in connection.listAllStoragePools():
            with contextlib.suppress(libvirt.libvirtError):  # it vanishes meanwhile
                path = safe_xml.parse(pool.XMLDesc()).findtext("target/path") or ""
                found.append(path)
    return [path for path in found if path.startswith("/") and path.strip("/")]


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
    return {domain.UUIDString(): _sizes(fields) for domain, fields in found[:MOST_DOMAINS]}


def _sizes(fields: dict[str, Any]) -> dict[str, list[int | None]]:
    return {
        fields[f"block.{i}.name"]: [
            fields.get(f"block.{i}.capacity"),
            fields.get(f"block.{i}.allocation"),
        ]
        for i in range(min(fields.get("block.count", 0), _MOST_DEVICES))
        if f"block.{i}.name" in fields
    }


def disk_errors(connection: libvirt.virConnect, uuids: list[str]) -> dict[str, dict[str, int]]:
    """UUID → target → virDomainDiskErrorCode, of disks that stopped these VMs. One that is off
    meanwhile has none."""
    found = {}
    for uuid in uuids[:MOST_DOMAINS]:
        with contextlib.suppress(libvirt.libvirtError):
            errors = connection.lookupByUUIDString(uuid).diskErrors()
            found[uuid] = dict(list(errors.items())[:_MOST_DEVICES])
    return found


CALLS: dict[str, Callable[..., Any]] = {
    "versions": versions,
    "stats": stats,
    "inventory": inventory,
    "block_info": block_info,
    "pool_folders": pool_folders,
    "disk_sizes": disk_sizes,
    "disk_errors": disk_errors,
}
