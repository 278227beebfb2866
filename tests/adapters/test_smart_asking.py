"""How drives are asked on a real Linux: types that are only guessed, SCSI's answer for a SATA
drive, sudo that refuses, and answers that are odd.

The machine here answers as smartctl does (smartctl.cpp, os_linux.cpp, scsiprint.cpp) and as sudo
does; inputs of real ones lie in shared/cases/smart beside the checkout, where it is there.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from hosts.rules.health.drives import judge
from labpanel.adapters.drives import smart
from labpanel.adapters.errors import AdapterError, CommandFailed, Missing, TimedOut
from labpanel.adapters.ssh.machine import Output
from labpanel.lib.drives import DriveReading
from labpanel.lib.shapes import Endpoint
from labpanel.symptoms.words.drives import reason

CASES = Path(__file__).resolve().parents[2].parent / "shared" / "cases" / "smart"


def ata(pending: int = 320, **changes: Any) -> dict[str, Any]:
    """What SAT gives of a hard disk."""
    raw = {"value": pending, "string": str(pending)}
    row = {"id": 197, "name": "Current_Pending_Sector", "value": 100, "thresh": 0, "raw": raw}
    said: dict[str, Any] = {
        "smartctl": {"version": [7, 4], "exit_status": 0},
        "device": {"name": "/dev/sda", "type": "sat", "protocol": "ATA"},
        "model_name": "Example Disk 10T",
        "serial_number": "EX000001",
        "rotation_rate": 5400,
        "smart_status": {"passed": True},
        "ata_smart_attributes": {"table": [row]},
    }
    return said | changes


def scsi(maker: str = "ATA", **changes: Any) -> dict[str, Any]:
    """What SCSI gives of it: nothing, behind AHCI (libata's translation has no log pages)."""
    said: dict[str, Any] = {
        "smartctl": {"version": [7, 4], "exit_status": 4},
        "device": {"name": "/dev/sda", "type": "scsi", "protocol": "SCSI"},
        "scsi_vendor": maker,
        "scsi_model_name": f"{maker} Example Disk 10T",
        "serial_number": "EX000001",
        "smart_support": {"available": False},
    }
    return said | changes


HEALTHY_BY_SCSI: dict[str, Any] = {"smart_status": {"passed": True}, "temperature": {"current": 38}}


class Machine:
    """Answers by the type that is asked with ("" is none). A type that is not there is refused as
    smartctl refuses one that it does not know."""

    def __init__(
        self,
        listed: str = "scsi",
        target: str = "root@alpha",
        answers: dict[str, Any] | None = None,
        **more: Any,
    ) -> None:
        self.endpoint = Endpoint("alpha", target, "k")
        self.listed = listed
        self.answers = {name.replace("none", ""): said for name, said in more.items()}
        self.answers |= answers or {}
        self.types: list[str] = []

    def run(
        self, words: Sequence[str], *, deadline: float, ok: Any = (0,), most: int = 0
    ) -> Output:
        if "--scan" in words:
            rows = [{"name": "/dev/sda", "type": self.listed}]
            return Output(0, json.dumps({"smartctl": {}, "devices": rows}).encode(), b"")
        if "-j" not in words:
            return Output(1, b"smartctl 7.4: not in this test", b"")
        kind = words[list(words).index("-d") + 1] if "-d" in words else ""
        self.types.append(kind)
        said = self.answers.get(kind)
        if isinstance(said, AdapterError | RuntimeError):
            raise said
        if said is None:
            said = {"smartctl": {"exit_status": 1, "messages": [{"string": "Unknown device type"}]}}
        text = said if isinstance(said, str) else json.dumps(said)
        status = 0 if isinstance(said, str) else said.get("smartctl", {}).get("exit_status", 0)
        return Output(status, text.encode(), b"")


def read(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> DriveReading:
    monkeypatch.setattr(smart, "Machine", lambda _: machine)
    [drive] = smart.read_drives(machine.endpoint)
    return drive


@pytest.mark.parametrize("guess", ["scsi", "ata", "sat", "auto", "nvme", ""])
def test_a_guessed_type_is_not_passed_on(monkeypatch: pytest.MonkeyPatch, guess: str) -> None:
    machine = Machine(guess, none=ata(), scsi=scsi())
    drive = read(machine, monkeypatch)
    assert (machine.types, drive.interface, drive.raw(197)) == ([""], "sat", 320)
    assert reason(judge(drive).signs).startswith("320 sectors cannot be read")


@pytest.mark.parametrize(
    "kind",
    ["megaraid,4", "cciss,0", "3ware,2", "areca,1/2", "usbjmicron,1", "sntasmedia", "sat,12"],
)
def test_a_controllers_or_bridges_type_is(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    machine = Machine(kind, answers={kind: ata()})
    drive = read(machine, monkeypatch)
    assert (machine.types, drive.interface, drive.raw(197)) == ([kind], kind, 320)


@pytest.mark.parametrize(
    "by_scsi",
    [
        scsi(),
        scsi(**HEALTHY_BY_SCSI),
        scsi("ATA     ", **HEALTHY_BY_SCSI),
        scsi("", vendor="ATA", **HEALTHY_BY_SCSI),  # smartctl 7.0 to 7.2
        scsi("USB", **HEALTHY_BY_SCSI),  # a bridge: a verdict of its own, and no counts
        scsi("LSI"),
    ],
)
def test_scsi_without_counts_is_asked_again_as_sata(
    monkeypatch: pytest.MonkeyPatch, by_scsi: dict[str, Any]
) -> None:
    machine = Machine(none=by_scsi, sat=ata())
    drive = read(machine, monkeypatch)
    assert (machine.types, drive.interface) == (["", "sat"], "sat")
    assert judge(drive).level == "bad"
    hidden = Machine(none=by_scsi)  # -d sat is refused
    verdict = judge(read(hidden, monkeypatch))
    assert (hidden.types, verdict.level) == (["", "sat"], "unknown")


def test_behind_a_controller_too(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"megaraid,4": scsi(**HEALTHY_BY_SCSI), "sat+megaraid,4": ata()}
    drive = read(Machine("megaraid,4", answers=answers), monkeypatch)
    assert (drive.interface, judge(drive).level) == ("megaraid,4", "bad")


def test_a_sas_drive_with_counts_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(none=scsi("SEAGATE", scsi_grown_defect_list=0, **HEALTHY_BY_SCSI))
    assert (judge(read(machine, monkeypatch)).level, machine.types) == ("good", [""])


def test_scsi_that_calls_a_sata_drive_failing_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(none=scsi(smart_status={"passed": False}))
    assert judge(read(machine, monkeypatch)).level == "bad"


@pytest.mark.parametrize(
    "odd",
    [
        "[]",
        "null",
        "smartctl: Speicherzugriffsfehler",
        '{"smartctl": 5, "device": {"protocol": "ATA"}}',
        '{"smartctl": {"exit_status": "2"}, "device": {"protocol": ["ATA"]}}',
        '{"device": {"protocol": "ATA"}, "ata_smart_attributes": {"table": [{"id": {}}]}}',
        '{"device": {"protocol": "ATA"}, "smart_status": {"passed": "yes"}, "wwn": []}',
        '{"device": {"protocol": "SCSI"}, "scsi_environmental_reports": {"temperature_1": 5}}',
        '{"device": {"protocol": "ATA"}, "ata_device_statistics": {"pages": {"number": 7}}}',
        '{"device": {"protocol": "NVMe"}, "nvme_self_test_log": {"table": [{"self_test": 1}]}}',
        RuntimeError("a fault of ours"),
        TimedOut("late"),
    ],
)
def test_one_odd_drive_ends_no_look_at_the_others(
    monkeypatch: pytest.MonkeyPatch, odd: object
) -> None:
    first, second = Machine(none=odd), Machine(none=ata())
    monkeypatch.setattr(smart, "scan", lambda _: [("/dev/sda", ""), ("/dev/sdb", "")])

    class Two(Machine):
        def run(self, words: Sequence[str], **given: Any) -> Output:
            return (first if "/dev/sda" in words else second).run(words, **given)

    monkeypatch.setattr(smart, "Machine", lambda _: Two())
    one, other = smart.read_drives(Endpoint("alpha", "root@alpha", "k"))
    assert judge(one).level == "unknown"
    assert judge(other).level == "bad"


class Refusing:
    """sudo, or a shell without it, in front of smartctl."""

    def __init__(self, target: str, status: int, stderr: str, stdout: str = "") -> None:
        self.endpoint = Endpoint("alpha", target, "k")
        self.output = Output(status, stdout.encode(), stderr.encode())

    def run(self, words: Sequence[str], **_: Any) -> Output:
        assert list(words[:2]) == ["env", "LC_ALL=C"]
        return self.output


def refused(
    monkeypatch: pytest.MonkeyPatch, status: int, stderr: str, target: str = "panel@alpha"
) -> AdapterError:
    machine = Refusing(target, status, stderr)
    monkeypatch.setattr(smart, "Machine", lambda _: machine)
    with pytest.raises(AdapterError) as caught:
        smart.read_drives(machine.endpoint)
    return caught.value


@pytest.mark.parametrize(
    "words",
    [
        "sudo: a password is required",
        "sudo: il est nécessaire de saisir un mot de passe",
        "sudo: se requiere una contraseña",
        "sudo: パスワードが必要です",
        "sudo-rs: interactive authentication is required",
        "Sorry, user panel may not run sudo on alpha.",
        "panel ist nicht in der sudoers-Datei.",
        "sudo: PERM_SUDOERS: setresuid(-1, 1, -1): Operation not permitted",
        "",
    ],
)
def test_sudos_refusal_is_known_in_every_language(
    monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    error = refused(monkeypatch, 1, words)
    assert isinstance(error, CommandFailed)
    assert "alpha does not let the panel's user run smartctl" in error.sentence
    assert "panel ALL=(root) NOPASSWD: /usr/sbin/smartctl" in error.sentence
    assert words in error.sentence


def test_the_panels_own_machine_names_its_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1)
    error = refused(monkeypatch, 1, "sudo: a password is required", "local")
    assert "`daemon ALL=(root)" in error.sentence


def test_a_terminal_that_sudo_wants_has_a_remedy_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    error = refused(monkeypatch, 1, "sudo: sorry, you must have a tty to run sudo")
    assert "Defaults:panel !requiretty" in error.sentence


@pytest.mark.parametrize(
    ("status", "words", "lacking"),
    [
        (127, "env: 'sudo': No such file or directory", "sudo"),
        (127, "env: ‘sudo’: No such file or directory", "sudo"),
        (127, "sh: 1: sudo: not found", "sudo"),
        (127, "zsh:1: command not found: sudo", "sudo"),
        (127, "fish: Unknown command: sudo", "sudo"),
        (127, "", "sudo"),
        (1, "sudo: Command not found.", "sudo"),  # csh
        (1, "sudo: smartctl: command not found", "smartctl"),
        (1, "sudo: smartctl: Befehl nicht gefunden", "smartctl"),
        (127, "env: 'smartctl': No such file or directory", "smartctl"),
    ],
)
def test_sudo_that_is_missing_is_told_from_smartctl_that_is(
    monkeypatch: pytest.MonkeyPatch, status: int, words: str, lacking: str
) -> None:
    error = refused(monkeypatch, status, words)
    assert isinstance(error, Missing)
    assert error.sentence.startswith(f"{lacking} is not installed on alpha")


@pytest.mark.parametrize(
    "words", ["env: 'smartctl': No such file or directory", "", "kein Programm"]
)
def test_root_lacks_smartctl_alone(monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    error = refused(monkeypatch, 127, words, "root@alpha")
    assert error.sentence.startswith("smartctl is not installed on alpha")


def test_a_scan_that_fails_is_no_empty_list(monkeypatch: pytest.MonkeyPatch) -> None:
    said = {"smartctl": {"exit_status": 1, "messages": [{"string": "drivedb.h: syntax error"}]}}
    machine = Refusing("root@alpha", 1, "", json.dumps(said))
    monkeypatch.setattr(smart, "Machine", lambda _: machine)
    with pytest.raises(CommandFailed, match="lists no drives"):
        smart.read_drives(machine.endpoint)


def test_sudo_that_allows_the_scan_alone_is_said_of_the_drive(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Half(Machine):
        def run(self, words: Sequence[str], **given: Any) -> Output:
            if "--scan" in words:
                return super().run(words, **given)
            return Output(1, b"", b"Sorry, user panel is not allowed to execute 'smartctl'")

    drive = read(Half(target="panel@alpha"), monkeypatch)
    assert (drive.state, "does not let the panel's user" in drive.why) == ("no-data", True)


def case(name: str) -> Any:
    if not CASES.is_dir():
        pytest.skip("no cases beside this checkout")
    return json.loads((CASES / name).read_text())


@pytest.mark.parametrize("by_scsi", ["d-scsi-behind-hba.json", "d-scsi-behind-ahci.json"])
def test_cases_of_sata_that_the_scan_calls_scsi(
    monkeypatch: pytest.MonkeyPatch, by_scsi: str
) -> None:
    listed = case("scan.json")["devices"][0]["type"]
    machine = Machine(listed, scsi=case(by_scsi), sat=case("d-sat.json"), none=case("d-sat.json"))
    verdict = judge(read(machine, monkeypatch))
    assert (verdict.level, "320 sectors cannot be read" in reason(verdict.signs)) == ("bad", True)
    only_scsi = Machine(listed, scsi=case(by_scsi), none=case(by_scsi))
    assert judge(read(only_scsi, monkeypatch)).level == "unknown"


def test_cases_of_sudos_refusals(monkeypatch: pytest.MonkeyPatch) -> None:
    *refusals, absent = case("sudo-refusals.json")
    for each in refusals:
        error = refused(monkeypatch, each["status"], each["stderr"])
        assert "sudo" in error.sentence
        assert each["stderr"] in error.sentence
    error = refused(monkeypatch, absent["status"], absent["stderr"])
    assert error.sentence.startswith("sudo is not installed")
