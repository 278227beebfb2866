"""Calls of one use: backing up a running domain, and looking at one that was backed up."""

import contextlib
import time
from collections.abc import Callable
from typing import Any

import libvirt

from labpanel.adapters.answers import safe_xml

PING_SECONDS = 5
END_SECONDS = 15  # within the call's deadline of 30
END_PAUSE = 0.05
# A no of the agent itself (qemuAgentCheckError): 9.0 has the first, VIR_ERR_AGENT_COMMAND_FAILED
# is the name of the other, which the bindings of 9.0 lack.
_ANSWERS = frozenset({libvirt.VIR_ERR_INTERNAL_ERROR, 110})


def backup_facts(connection: libvirt.virConnect, uuid: str) -> dict[str, Any]:
    """What a backup must know before it starts.

    `{"name", "id", "state", "active", "xml", "inactive_xml", "busy", "snapshots", "managed_save",
    "libvirt", "qemu"}`; `xml` is the one that counts now (live if it runs), both with their
    secrets, since a restored VM needs them. `busy` is true while libvirt works on the domain
    already, `managed_save` if it is off and its memory was kept.
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
        "busy": active and domain.jobInfo()[0] != libvirt.VIR_DOMAIN_JOB_NONE,
        "snapshots": domain.snapshotNum(),
        "managed_save": not active and bool(domain.hasManagedSaveImage()),
        "libvirt": connection.getLibVersion(),
        "qemu": connection.getVersion(),
    }


def backup_begin(
    connection: libvirt.virConnect, uuid: str, ways: list[dict[str, str]], freeze_seconds: int
) -> dict[str, Any]:
    """Start a backup of all listed disks at one instant: `{"quiesced", "why_not", "thawed", "way",
    "refused", "checkpoint_xml"}`.

    `ways` are `{"xml", "checkpoint", "name"}`, tried in turn until libvirt takes one, since a lost
    bitmap may show only now; `way` is the number of the one taken, `refused` what libvirt said to
    those before. An empty `checkpoint` begins none.

    The guest's file systems are frozen around it when its agent answers within `freeze_seconds`;
    0 leaves the agent alone. They are thawed whatever happens, also after a freeze that failed:
    the guest may have frozen and failed only to say so. `thawed` is False while that is not known:
    the guest may do what it was asked for later, so thawing must be tried again.
    """
    domain = connection.lookupByUUIDString(uuid)
    why_not = _silence(domain) if freeze_seconds else "not asked for"
    asked = not why_not
    if asked:
        why_not = _freeze(domain, freeze_seconds)
    thawed = True
    try:
        taken, refused = _begin(domain, ways)
    finally:
        if asked:
            thawed = _thaw(domain)
    return {
        "quiesced": not why_not,
        "why_not": why_not,
        "thawed": thawed,
        "way": taken,
        "refused": refused,
        "checkpoint_xml": _checkpoint_xml(domain, ways[taken]["name"]),
    }


def _begin(domain: libvirt.virDomain, ways: list[dict[str, str]]) -> tuple[int, list[str]]:
    refused: list[str] = []
    for number, way in enumerate(ways):
        try:
            domain.backupBegin(way["xml"], way["checkpoint"] or None)
        except libvirt.libvirtError as error:
            # If libvirt is busy with the domain, another try only keeps the guest frozen.
            if (
                number == len(ways) - 1
                or error.get_error_code() == libvirt.VIR_ERR_OPERATION_TIMEOUT
            ):
                raise
            refused.append(str(error.get_error_message()))
            _drop(domain, way["name"])
        else:
            return number, refused
    raise AssertionError("no way was given")


def _drop(domain: libvirt.virDomain, name: str) -> None:
    """A checkpoint outlives a backup that failed after it was made (qemuBackupBegin)."""
    with contextlib.suppress(libvirt.libvirtError):
        domain.checkpointLookupByName(name).delete()


def _checkpoint_xml(domain: libvirt.virDomain, name: str) -> str:
    if not name:
        return ""
    checkpoint = domain.checkpointLookupByName(name)
    return str(checkpoint.getXMLDesc(libvirt.VIR_DOMAIN_CHECKPOINT_XML_SECURE))


def _silence(domain: libvirt.virDomain) -> str:
    """Why the agent is not to be asked to freeze; empty if it answers. One that is stuck keeps
    the question in its channel and would freeze the guest when no call waits for it any more."""
    try:
        domain.agentSetResponseTimeout(PING_SECONDS)
        domain.hostname(libvirt.VIR_DOMAIN_GET_HOSTNAME_AGENT)
    except libvirt.libvirtError as error:
        # An agent in which this command is switched off says so: that is an answer.
        if error.get_error_code() not in _ANSWERS:
            return str(error.get_error_message())
    return ""


def _freeze(domain: libvirt.virDomain, seconds: int) -> str:
    """Freeze; the reason if it did not work."""
    try:
        # The default waits for ever (virDomainAgentSetResponseTimeout).
        domain.agentSetResponseTimeout(seconds)
        domain.fsFreeze()
    except libvirt.libvirtError as error:
        return str(error.get_error_message())
    return ""


def _thaw(domain: libvirt.virDomain) -> bool:
    """Whether the guest is thawed for sure: its agent said so, it has no agent, or it does not run
    any more."""
    try:
        domain.fsThaw()
    except libvirt.libvirtError as error:
        no_agent = error.get_error_code() == libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED
        return no_agent or not domain.isActive()
    return True


def thaw(connection: libvirt.virConnect, uuid: str) -> bool:
    """Thaw a guest that a backup may have left frozen; False if there was no answer."""
    try:
        domain = connection.lookupByUUIDString(uuid)
    except libvirt.libvirtError as error:
        return bool(error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN)
    with contextlib.suppress(libvirt.libvirtError):
        domain.agentSetResponseTimeout(PING_SECONDS)
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


def abort_backup(connection: libvirt.virConnect, uuid: str, mark: str) -> bool:
    """End the backup that is ours by `mark`: the NBD socket of a pull backup (for which that is
    the normal end), or a file that a push backup writes. False if there is none. Another's job is
    never touched.

    libvirt answers `abortJob` once QEMU was asked to cancel, and forgets the job at a later event
    (qemu_backup.c, qemuBackupNotifyBlockjobEnd); until then another backup would be refused. So
    the job's end is waited for, `END_SECONDS` at most."""
    if not _is_open(connection, uuid, mark):
        return False
    domain = connection.lookupByUUIDString(uuid)
    try:
        domain.abortJob()
    except libvirt.libvirtError:
        if backup_xml(connection, uuid):  # else it ended in between
            raise
    until = time.monotonic() + END_SECONDS
    while _is_open(connection, uuid, mark) and time.monotonic() < until:
        time.sleep(END_PAUSE)
    return True


def _is_open(connection: libvirt.virConnect, uuid: str, mark: str) -> bool:
    description = backup_xml(connection, uuid)
    return bool(description) and mark in _marks(description)


def _marks(description: str) -> set[str | None]:
    root = safe_xml.parse(description)
    return {server.get("socket") for server in root.iter("server")} | {
        target.get("file") for target in root.iter("target")
    }


def push_progress(connection: libvirt.virConnect, uuid: str) -> dict[str, Any]:
    """How a push backup goes: `{"running", "done_bytes", "total_bytes", "succeeded"}`;
    `succeeded` counts once it does not run any more."""
    domain = connection.lookupByUUIDString(uuid)
    now = domain.jobStats()
    running = now.get("type", libvirt.VIR_DOMAIN_JOB_NONE) != libvirt.VIR_DOMAIN_JOB_NONE
    if not running:
        now = domain.jobStats(
            libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED | libvirt.VIR_DOMAIN_JOB_STATS_KEEP_COMPLETED
        )
    return {
        "running": running,
        "done_bytes": now.get("disk_processed", 0),
        "total_bytes": now.get("disk_total", 0),
        "succeeded": now.get("operation") == libvirt.VIR_DOMAIN_JOB_OPERATION_BACKUP
        and bool(now.get("success")),
    }


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
        push_progress,
        uuid_of,
    )
}
