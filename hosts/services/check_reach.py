"""A host, or its libvirt, that does not answer is a trouble of its own."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from hosts.models import Host
from hosts.services import findings
from hosts.services.findings import Trouble

# Two turns of the probe: one lost answer is nothing.
GRACE = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Door:
    """One of the two ways in: since when it fails, what it said last, how to say it."""

    kind: str
    failing_since: datetime | None
    error: str
    seen_at: datetime | None
    sentence: str
    advice: str
    source: str


def check_reach(host: Host, now: datetime) -> None:
    """Open or resolve the findings "host" and "libvirt" from what the probe wrote down."""
    host.refresh_from_db()  # somebody else may have heard of it meanwhile
    ssh, libvirt = _doors(host)
    _weigh(host, ssh, now)
    if ssh.failing_since is None:  # libvirt behind a closed door is not a second trouble
        _weigh(host, libvirt, now)


def _doors(host: Host) -> tuple[Door, Door]:
    ssh = Door(
        kind="host",
        failing_since=host.failing_since,
        error=host.error,
        seen_at=host.seen_at,
        sentence=f"{host.name} does not answer since",
        advice="See whether it has power and network. What its VMs do is unknown until it answers.",
        source="SSH",
    )
    libvirt = Door(
        kind="libvirt",
        failing_since=host.libvirt_failing_since,
        error=host.libvirt_error,
        seen_at=host.libvirt_seen_at,
        sentence=f"libvirt on {host.name} does not answer since",
        advice="The VMs may well go on running. Look at libvirt's log on the host "
        "(`journalctl -u libvirtd -u virtqemud`) and restart it; that leaves the VMs alone.",
        source="libvirt",
    )
    return ssh, libvirt


def _weigh(host: Host, door: Door, now: datetime) -> None:
    began = door.failing_since
    if began is None:
        findings.resolve(host, door.kind, [""], now)
        return
    if now - began < GRACE:
        return
    evidence: list[dict[str, object]] = [
        {
            "what": "last error",
            "value": door.error,
            "source": door.source,
            "since": began.isoformat(),
        }
    ]
    if door.seen_at is not None:
        last = door.seen_at.isoformat()
        evidence.append(
            {"what": "last answer", "value": "well", "source": door.source, "since": last}
        )
    trouble = Trouble(
        kind=door.kind,
        subject="",
        severity="bad",
        sentence=f"{door.sentence} {findings.clock(began, now)}",
        advice=door.advice,
        evidence=evidence,
        vms=tuple(host.vms.filter(missing_since=None)),
        since=began,
    )
    findings.report(host, trouble, now)
