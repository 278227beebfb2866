"""SMART of a machine's drives: pySMART over SSH, beside `smartctl --json`.

pySMART 1.4 parses the text of `smartctl --all`; it knows no error log, no power mode, drops the
exit status, refuses some device types, and given nothing it answers with an empty object and no
error. So there are two readings. Where both say something else, the JSON decides; where only one
says something, it serves; an empty object is no data, never "good".
"""

import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from labpanel.adapters import smart_json
from labpanel.adapters.errors import AdapterError, CommandFailed, Missing, TimedOut
from labpanel.adapters.machine import Machine
from labpanel.lib.drives import Attribute, Drive, SelfTest
from labpanel.lib.shapes import Endpoint

# An argument list → lines of output, exit status.
Run = Callable[[list[str]], tuple[list[str], int]]
SECONDS = 20  # a healthy drive answers within one or two
NOT_FOUND = 127  # POSIX: the shell's status for a command that is not there
# Attributes whose raw number both readings should agree on.
COMPARED = (5, 187, 197, 198, 199)


def read_drives(endpoint: Endpoint) -> list[Drive]:
    """Every drive that smartctl finds there. A drive that sleeps is not woken.

    Raises an AdapterError when the machine can't be asked; Missing when it has no smartctl.
    """
    machine = Machine(endpoint)
    return [_read(machine, device, interface) for device, interface in scan(machine)]


def scan(machine: Machine) -> list[tuple[str, str]]:
    """(device, smartctl's -d type) of every drive."""
    output = machine.run(_smartctl(machine, "--scan", "-j"), deadline=SECONDS, ok=None)
    name = machine.endpoint.name
    if output.status == NOT_FOUND or b"command not found" in output.stderr:
        raise Missing(
            f"smartctl is not installed on {name}; there, run `apt install smartmontools`."
        )
    if b"password is required" in output.stderr:
        raise CommandFailed(
            f"{name} does not let the panel's user run smartctl: allow `sudo -n smartctl` to it.",
            output.status,
            output.stderr.decode("utf-8", "replace"),
        )
    try:
        rows = json.loads(output.stdout).get("devices", [])
        return [(row["name"], row.get("type", "")) for row in rows]
    except (ValueError, AttributeError, KeyError, TypeError):
        # smartctl before 7.0 knows no JSON: `/dev/sda -d sat # /dev/sda, ATA device`
        plain = machine.run(_smartctl(machine, "--scan"), deadline=SECONDS, ok=None)
        return re.findall(r"^(/\S+) -d (\S+)", plain.text, re.MULTILINE)


def _smartctl(machine: Machine, *words: str) -> list[str]:
    sudo = [] if _is_root(machine.endpoint) else ["sudo", "-n"]
    return [*sudo, "smartctl", *words]


def _is_root(endpoint: Endpoint) -> bool:
    if endpoint.is_local:
        return os.geteuid() == 0
    return endpoint.target.startswith("root@")


def _read(machine: Machine, device: str, interface: str) -> Drive:
    kind = ("-d", interface) if interface else ()
    words = _smartctl(machine, "-j", "-x", "-n", "standby,3", *kind, device)
    try:
        output = machine.run(words, deadline=SECONDS, ok=None)
    except TimedOut as late:
        return Drive(device, interface, state="no-data", why=late.sentence)
    drive = smart_json.parse(output.text, device, interface, output.status)
    if drive.state == "standby":
        return drive
    return settle(drive, _by_pysmart(machine, device, interface))


def settle(by_json: Drive, by_text: Drive | None) -> Drive:
    """One reading out of two."""
    if by_text is None or by_json.state == "standby":
        return by_json
    if by_json.state != "read":
        return by_text
    return replace(by_json, disagreements=tuple(_differences(by_json, by_text)))


def _differences(by_json: Drive, by_text: Drive) -> list[str]:
    found = []
    if None not in (by_json.passed, by_text.passed) and by_json.passed != by_text.passed:
        found.append(f"health: JSON passed={by_json.passed}, pySMART passed={by_text.passed}")
    for number in COMPARED:
        one, other = by_json.raw(number), by_text.raw(number)
        if None not in (one, other) and one != other:
            found.append(f"attribute {number}: JSON {one}, pySMART {other}")
    return found


def _by_pysmart(machine: Machine, device: str, interface: str) -> Drive | None:
    """pySMART's reading; None where it has nothing to say."""

    def run(words: list[str]) -> tuple[list[str], int]:
        output = machine.run(words, deadline=SECONDS, ok=None)
        return output.text.splitlines(), output.status

    sudo = [] if _is_root(machine.endpoint) else ["-n"]
    try:
        return by_pysmart(run, device, interface, sudo)
    except TimedOut:
        return None  # the other reading came in time: it serves
    except AdapterError:
        raise
    except Exception:  # noqa: BLE001 - a parser of free text: any shape it does not know may
        return None  # raise anything (ValueError and IndexError were seen); the JSON serves then


def by_pysmart(run: Run, device: str, interface: str, sudo: list[str]) -> Drive | None:
    """pySMART's Device over `run`, as a Drive; None if it is empty or smartctl gave no data."""
    from pySMART import Device  # heavy: only workers that ask a drive load it
    from pySMART.smartctl import Smartctl

    statuses: list[int] = []

    class Remote(Smartctl):  # type: ignore[misc]  # pySMART has no types
        def _exec(self, cmd: list[str]) -> tuple[list[str], int]:
            lines, status = run(cmd)
            statuses.append(status)
            return lines, status

    wrapper = Remote(smartctl_path="smartctl", options=[], sudo=sudo or False)
    found = Device(device, interface=interface or None, smartctl=wrapper)
    attributes = {row.num: _attribute(row) for row in found.attributes if row is not None}
    empty = not found.model and not attributes and found.assessment is None
    if empty or statuses[-1] & smart_json.NO_DATA_BITS:
        return None
    nvme = found.if_attributes if found.dev_interface == "nvme" else None
    return Drive(
        device=device,
        interface=interface,
        protocol="NVMe" if nvme else "ATA" if attributes else "SCSI",
        model=found.model or "",
        serial=found.serial or "",
        firmware=found.firmware or "",
        is_ssd=bool(found.is_ssd) if found.is_ssd or found.rotation_rate else None,
        passed={"PASS": True, "WARN": True, "FAIL": False}.get(found.assessment or ""),
        temperature=found.temperature,
        attributes=attributes,
        tests=tuple(_self_test(row) for row in found.tests or ()),
        critical_warning=getattr(nvme, "criticalWarning", None),
        media_errors=getattr(nvme, "mediaErrors", None),
        endurance_used=getattr(nvme, "percentageUsed", None),
        available_spare=getattr(nvme, "availableSpare", None),
    )


def _attribute(row: Any) -> Attribute:
    failed = {"FAILING_NOW": "now", "In_the_past": "past"}.get(row.when_failed, "")
    return Attribute(row.num, row.name, row.value_int, row.thresh, row.raw_int, failed)


def _self_test(row: Any) -> SelfTest:
    text = str(row.status or "")
    hours = int(row.hours) if str(row.hours or "").isdigit() else None
    outcome = smart_json.outcome_of(text)
    return SelfTest(str(row.type or ""), outcome, text, hours)
