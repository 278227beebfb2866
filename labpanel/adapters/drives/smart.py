"""SMART of a machine's drives: pySMART over SSH, beside `smartctl --json`.

pySMART 1.4 parses the text of `smartctl --all`; it knows no error log, no power mode, drops the
exit status, refuses some device types, and given nothing it answers with an empty object and no
error. So there are two readings. Where both say something else, the JSON decides; where only one
says something, it serves; an empty object is not data, never "good".
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from labpanel.adapters.drives import smart_ask, smart_json, smart_wear
from labpanel.adapters.drives.smart_ask import scan
from labpanel.adapters.errors import AdapterError, Excessive, TimedOut
from labpanel.adapters.ssh.machine import Machine
from labpanel.lib.drives import Attribute, DriveReading, SelfTest, held
from labpanel.lib.shapes import Endpoint

# An argument list → lines of output, exit status.
Run = Callable[[list[str]], tuple[list[str], int]]
log = logging.getLogger(__name__)
MOST_DRIVES = 64
WHOLE_SECONDS = 180  # all drives together; one that hangs takes two of smart_ask.SECONDS
# Attributes whose raw number both readings should agree on.
COMPARED = (5, 187, 197, 198, 199)


def read_drives(endpoint: Endpoint) -> list[DriveReading]:
    """Every drive that smartctl finds there. A drive that sleeps is not woken.

    Each is asked without a type, unless the scan's type names a controller or a bridge. Raises an
    AdapterError when the machine can't be asked; Missing when it has no smartctl, or no sudo.
    """
    machine, until = Machine(endpoint), time.monotonic() + WHOLE_SECONDS
    found = []
    for device, interface in scan(machine)[:MOST_DRIVES]:
        if time.monotonic() > until:
            why = f"the drives before it took {WHOLE_SECONDS} s: it was not asked"
            found.append(DriveReading(device, interface, state="no-data", why=why))
        else:
            found.append(_read(machine, device, interface))
    return found


def _read(machine: Machine, device: str, kind: str) -> DriveReading:
    """One drive. Whatever is odd about it stays its own: the others are asked all the same."""
    try:
        drive = _settled(machine, device, kind)
    except (TimedOut, Excessive) as odd:
        return DriveReading(device, kind, state="no-data", why=odd.sentence)
    except AdapterError:
        raise
    except Exception:  # a fault of ours, met with this drive's answer
        log.exception("the answer of %s on %s is not understood", device, machine.endpoint.name)
        why = "smartctl's answer has a shape that is not understood"
        return DriveReading(device, kind, state="no-data", why=why)
    return drive


def _settled(machine: Machine, device: str, kind: str) -> DriveReading:
    drive = _by_json(machine, device, kind)
    if drive.state == "standby":
        return drive
    if drive.state == "read" and _says_nothing(drive):
        again = smart_ask.as_ata(kind)
        other = _by_json(machine, device, again) if again else drive
        if other.state == "standby":
            return other
        if other.state == "read" and not _says_nothing(other):
            drive, kind = replace(other, interface=kind or other.interface), again
    if drive.is_disguised:
        return drive  # the text form tells as little of it
    return settle(drive, _by_pysmart(machine, device, kind or drive.interface))


def _by_json(machine: Machine, device: str, kind: str) -> DriveReading:
    typed = ("-d", kind) if kind else ()
    output = smart_ask.ask(machine, "-j", "-x", "-n", "standby,3", *typed, device)
    refused = smart_ask.refusal(machine, output)
    if refused is not None:
        return DriveReading(device, kind, state="no-data", why=refused.sentence)
    return smart_json.parse(output.text, device, kind, output.status)


def _says_nothing(drive: DriveReading) -> bool:
    """SCSI's answer of a drive that speaks ATA, or one without a verdict or any count."""
    if drive.protocol != "SCSI":
        return False
    counts = (drive.grown_defects, drive.uncorrected, drive.pending_logged, drive.endurance_used)
    return drive.is_disguised or drive.passed is None or all(count is None for count in counts)


def settle(by_json: DriveReading, by_text: DriveReading | None) -> DriveReading:
    """One reading out of two."""
    if by_text is None or by_json.state == "standby":
        return by_json
    if by_json.state != "read":
        return by_text
    return replace(by_json, disagreements=tuple(_differences(by_json, by_text)))


def _differences(by_json: DriveReading, by_text: DriveReading) -> list[str]:
    found = []
    if None not in (by_json.passed, by_text.passed) and by_json.passed != by_text.passed:
        found.append(f"health: JSON passed={by_json.passed}, pySMART passed={by_text.passed}")
    for number in COMPARED:
        one, other = by_json.raw(number), by_text.raw(number)
        if None not in (one, other) and one != other:
            found.append(f"attribute {number}: JSON {one}, pySMART {other}")
    return found


def _by_pysmart(machine: Machine, device: str, interface: str) -> DriveReading | None:
    """pySMART's reading; None where it has nothing to say."""

    def run(words: list[str]) -> tuple[list[str], int]:
        output = smart_ask.ask(machine, *words[words.index("smartctl") + 1 :])
        return output.text.splitlines(), output.status

    try:
        found = by_pysmart(run, device, interface)
        return None if found is None else held(found)
    except (TimedOut, Excessive):
        return None  # the other reading came in time: it serves
    except AdapterError:
        raise
    except Exception:  # noqa: BLE001 - a parser of free text: any shape it does not know may
        return None  # raise anything (ValueError and IndexError were seen); the JSON serves then


def by_pysmart(
    run: Run, device: str, interface: str, sudo: Sequence[str] = ()
) -> DriveReading | None:
    """pySMART's Device over `run`, as a Drive; None if it is empty or smartctl gave no data."""
    from pySMART import Device  # heavy: only workers that ask a drive load it
    from pySMART.smartctl import Smartctl

    statuses: list[int] = []

    class Remote(Smartctl):  # type: ignore[misc]  # pySMART has no types
        def _exec(self, cmd: list[str]) -> tuple[list[str], int]:
            lines, status = run(cmd)
            statuses.append(status)
            return lines, status

    wrapper = Remote(smartctl_path="smartctl", options=[], sudo=list(sudo) or False)
    found = Device(device, interface=interface or None, smartctl=wrapper)
    attributes = {row.num: _attribute(row) for row in found.attributes if row is not None}
    empty = not found.model and not attributes and found.assessment is None
    if empty or statuses[-1] & smart_json.NO_DATA_BITS:
        return None
    nvme = found.if_attributes if found.dev_interface == "nvme" else None
    worn = smart_wear.worn([], attributes) if found.is_ssd else None
    return DriveReading(
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
        media_errors=getattr(nvme, "integrityErrors", None),
        endurance_used=getattr(nvme, "percentageUsed", None) if nvme else worn,
        available_spare=getattr(nvme, "availableSpare", None),
        critical_minutes=getattr(nvme, "criticalTemperatureTime", None),
    )


def _attribute(row: Any) -> Attribute:
    failed = {"FAILING_NOW": "now", "In_the_past": "past"}.get(row.when_failed, "")
    return Attribute(row.num, row.name, row.value_int, row.thresh, row.raw_int, failed)


def _self_test(row: Any) -> SelfTest:
    text = str(row.status or "")
    hours = int(row.hours) if str(row.hours or "").isdigit() else None
    outcome = smart_json.outcome_of(text)
    return SelfTest(str(row.type or ""), outcome, text, hours)
