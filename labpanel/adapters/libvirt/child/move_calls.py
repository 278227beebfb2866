"""Calls of one use: taking a domain to another host."""

import time
from collections.abc import Callable
from typing import Any

import libvirt

_LIVE = (
    libvirt.VIR_MIGRATE_LIVE
    | libvirt.VIR_MIGRATE_PEER2PEER
    | libvirt.VIR_MIGRATE_NON_SHARED_DISK
    | libvirt.VIR_MIGRATE_PERSIST_DEST
    | libvirt.VIR_MIGRATE_UNDEFINE_SOURCE
    | libvirt.VIR_MIGRATE_ABORT_ON_ERROR
    | libvirt.VIR_MIGRATE_AUTO_CONVERGE
    | libvirt.VIR_MIGRATE_PAUSED
)
# MiB/s. QEMU limits a migration to 128 MiB/s unless it is told otherwise (MAX_THROTTLE in its
# migration code).
_UNBOUNDED_MIBS = 16 * 1024


def move_facts(connection: libvirt.virConnect, uuid: str) -> dict[str, Any]:
    """What a plan must know of one domain, with the secrets in its XML.

    `{"name", "state", "active", "persistent", "autostart", "xml", "inactive_xml",
    "portable_xml", "busy", "snapshots", "checkpoints", "managed_save", "libvirt", "qemu"}`.
    """
    domain = connection.lookupByUUIDString(uuid)
    active, persistent = bool(domain.isActive()), bool(domain.isPersistent())
    secure, inactive = libvirt.VIR_DOMAIN_XML_SECURE, libvirt.VIR_DOMAIN_XML_INACTIVE
    # Without it the destination compares what libvirt filled in itself (the CPU's check) and
    # refuses the description.
    portable = secure | libvirt.VIR_DOMAIN_XML_MIGRATABLE
    return {
        "name": domain.name(),
        "state": domain.state()[0],
        "active": active,
        "persistent": persistent,
        "autostart": bool(domain.autostart()) if persistent else False,
        "xml": domain.XMLDesc(secure),
        "inactive_xml": domain.XMLDesc(secure | inactive) if persistent else "",
        "portable_xml": domain.XMLDesc(portable) if active else "",
        "busy": active and domain.jobInfo()[0] != libvirt.VIR_DOMAIN_JOB_NONE,
        "snapshots": domain.snapshotNum(),
        "checkpoints": len(domain.listAllCheckpoints()),
        "managed_save": bool(domain.hasManagedSaveImage()),
        "libvirt": connection.getLibVersion(),
        "qemu": connection.getVersion(),
    }


def target_facts(
    connection: libvirt.virConnect,
    emulator: str,
    arch: str,
    machine: str,
    cpu: str,
    volumes: list[list[str]],
) -> dict[str, Any]:
    """What a plan must know of a host that a domain may go to.

    `{"libvirt", "qemu", "domains": [{"uuid", "name"}], "networks": active ones, "machine": sentence
    or empty, "cpu": sentence or empty, "missing_volumes": those of [pool, volume] that are not
    there}`. `cpu` is the domain's <cpu> XML, empty to leave it out.
    """
    return {
        "libvirt": connection.getLibVersion(),
        "qemu": connection.getVersion(),
        "domains": [
            {"uuid": domain.UUIDString(), "name": domain.name()}
            for domain in connection.listAllDomains()
        ],
        "networks": [
            network.name() for network in connection.listAllNetworks() if network.isActive()
        ],
        "machine": _machine_trouble(connection, emulator, arch, machine),
        "cpu": _cpu_trouble(connection, emulator, arch, machine, cpu) if cpu else "",
        "missing_volumes": [one for one in volumes if not _has_volume(connection, *one)],
    }


def _has_volume(connection: libvirt.virConnect, pool: str, volume: str) -> bool:
    try:
        connection.storagePoolLookupByName(pool).storageVolLookupByName(volume)
    except libvirt.libvirtError:
        return False
    return True


def _machine_trouble(connection: libvirt.virConnect, emulator: str, arch: str, machine: str) -> str:
    try:
        connection.getDomainCapabilities(emulator or None, arch, machine or None, None)
    except libvirt.libvirtError as error:
        return str(error.get_error_message())
    return ""


def _cpu_trouble(
    connection: libvirt.virConnect, emulator: str, arch: str, machine: str, cpu: str
) -> str:
    try:
        result = connection.compareHypervisorCPU(emulator or None, arch, machine or None, None, cpu)
    except libvirt.libvirtError as error:
        return str(error.get_error_message())
    # Incompatible is 0, identical 1, superset 2 (virCPUCompareResult).
    return "" if result > libvirt.VIR_CPU_COMPARE_INCOMPATIBLE else "features are missing"


def virtual_sizes(
    connection: libvirt.virConnect, uuid: str, targets: list[str]
) -> dict[str, dict[str, int]]:
    """Capacity and allocation of virtual disks in bytes, as libvirt opens them."""
    domain = connection.lookupByUUIDString(uuid)
    found = {}
    for target in targets:
        capacity, allocation, _ = domain.blockInfo(target)
        found[target] = {"capacity": capacity, "allocation": allocation}
    return found


def migrate(
    connection: libvirt.virConnect,
    uuid: str,
    destination: str,
    migrate_uri: str,
    disks_uri: str,
    disks: list[str],
    xml: str,
    persistent_xml: str,
) -> dict[str, Any]:
    """Move a running domain with all its `disks`; on return it is paused at the destination.

    `{"suspended_at"}` is when the source stopped, on this machine's monotonic clock. An empty list
    of disks would mean "all" to libvirt and is refused.
    """
    if not disks:
        raise ValueError("migrate needs the disks by name")
    domain = connection.lookupByUUIDString(uuid)
    stopped: list[float] = []
    watch = connection.domainEventRegisterAny(
        domain, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, _note_stop, stopped
    )
    parameters = {
        libvirt.VIR_MIGRATE_PARAM_URI: migrate_uri,
        libvirt.VIR_MIGRATE_PARAM_DISKS_URI: disks_uri,
        libvirt.VIR_MIGRATE_PARAM_MIGRATE_DISKS: disks,
        libvirt.VIR_MIGRATE_PARAM_DEST_XML: xml,
        libvirt.VIR_MIGRATE_PARAM_PERSIST_XML: persistent_xml,
        libvirt.VIR_MIGRATE_PARAM_BANDWIDTH: _UNBOUNDED_MIBS,
    }
    try:
        domain.migrateToURI3(destination, parameters, _LIVE)
    finally:
        connection.domainEventDeregisterAny(watch)
    return {"suspended_at": stopped[-1] if stopped else None}


def _note_stop(
    _: libvirt.virConnect, __: libvirt.virDomain, event: int, ___: int, stopped: list[float]
) -> None:
    if event == libvirt.VIR_DOMAIN_EVENT_SUSPENDED:
        stopped.append(time.monotonic())


def job_stats(connection: libvirt.virConnect, uuid: str) -> dict[str, Any]:
    """libvirt's own field names (virDomainGetJobStats) of the job under way; {} if there is none
    or the domain is gone."""
    try:
        stats = connection.lookupByUUIDString(uuid).jobStats()
    except libvirt.libvirtError as error:
        if error.get_error_code() in {
            libvirt.VIR_ERR_NO_DOMAIN,
            libvirt.VIR_ERR_OPERATION_INVALID,
        }:
            return {}
        raise
    return {} if stats.get("type") == libvirt.VIR_DOMAIN_JOB_NONE else stats


def abort_move(connection: libvirt.virConnect, uuid: str) -> bool:
    """Stop a migration that goes out from here; False if none is under way."""
    domain = connection.lookupByUUIDString(uuid)
    if not domain.isActive():
        return False
    stats = domain.jobStats()
    outgoing = stats.get("operation") == libvirt.VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT
    if stats.get("type") == libvirt.VIR_DOMAIN_JOB_NONE or not outgoing:
        return False
    domain.abortJob()
    return True


CALLS: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        move_facts,
        target_facts,
        virtual_sizes,
        migrate,
        job_stats,
        abort_move,
    )
}
