"""Two readings of one drive, over a machine whose answers are written down."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from lab import smart_sample
from labpanel.adapters.drives import smart
from labpanel.adapters.errors import AdapterError, CommandFailed, Missing, TimedOut, Unreachable
from labpanel.adapters.ssh.machine import Output
from labpanel.lib.shapes import Endpoint

SAMPLE = smart_sample.SampleDrive("/dev/sda", "S1")
TEXT, JSON = smart_sample.text(SAMPLE), smart_sample.as_json(SAMPLE)
DETECTED = """\
smartctl 6.6 2017-11-05 r4594 [x86_64-linux-4.19.0] (local build)
Copyright (C) 2002-17, Bruce Allen, Christian Franke, www.smartmontools.org

/dev/sda: Device of type 'scsi' [SCSI] detected
/dev/sda [SAT]: Device of type 'sat' [ATA] opened
"""
SCAN = json.dumps({"devices": [{"name": "/dev/sda", "type": "sat"}]})


class FakeMachine:
    """Answers by the kind of question: scan, json, text. An exception is raised instead."""

    def __init__(self, target: str = "root@alpha", **answers: Any) -> None:
        self.endpoint = Endpoint("alpha", target, "k")
        self.answers = {"scan": (SCAN, 0), "json": (JSON, 0), "text": (TEXT, 0), **answers}
        self.asked: list[list[str]] = []

    def run(
        self, words: Sequence[str], *, deadline: float, ok: Any = (0,), most: int = 0
    ) -> Output:
        assert deadline > 0
        assert ok is None, "smartctl's status is a mask: other than 0 is its daily answer"
        self.asked.append(list(words))
        assert list(words[:2]) == ["env", "LC_ALL=C"], "sudo's words depend on it"
        if list(words[-3:-1]) == ["-d", "test"]:  # smartctl(8): it opens the device, no more
            return Output(0, DETECTED.encode(), b"")
        kind = "scan" if "--scan" in words else "json" if "-j" in words else "text"
        if kind == "scan" and "-j" not in words and "plain" in self.answers:
            kind = "plain"
        answer = self.answers[kind]
        if isinstance(answer, AdapterError):
            raise answer
        text, status, *stderr = answer
        return Output(status, text.encode(), "".join(stderr).encode())


def read(machine: FakeMachine, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(smart, "Machine", lambda _: machine)
    drives = smart.read_drives(machine.endpoint)
    assert len(drives) == 1
    return drives[0]


def with_pending(count: int) -> str:
    said = json.loads(JSON)
    for row in said["ata_smart_attributes"]["table"]:
        if row["id"] == 197:
            row["raw"] = {"value": count, "string": str(count)}
    return json.dumps(said)


def test_both_readings_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = FakeMachine()
    drive = read(machine, monkeypatch)
    assert (drive.state, drive.model, drive.serial) == ("read", "Practice Disk 2000", "S1")
    assert (drive.passed, drive.raw(197), drive.temperature) == (True, 0, 34)
    assert drive.disagreements == ()
    assert [test.outcome for test in drive.tests] == ["passed", "passed"]
    asked = [" ".join(words) for words in machine.asked]
    assert asked[1] == "env LC_ALL=C smartctl -j -x -n standby,3 /dev/sda"  # no guessed type
    assert "env LC_ALL=C smartctl -d sat --all /dev/sda" in asked  # pySMART's own question


def test_where_they_differ_json_decides_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    drive = read(FakeMachine(json=(with_pending(7), 0)), monkeypatch)
    assert drive.raw(197) == 7
    assert drive.disagreements == ("attribute 197: JSON 7, pySMART 0",)


def test_without_json_pysmart_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    drive = read(FakeMachine(json=("not JSON", 1)), monkeypatch)
    assert (drive.state, drive.passed, drive.raw(197)) == ("read", True, 0)


def test_without_pysmart_json_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = FakeMachine(scan=(SCAN.replace('"sat"', '"usbjmicron"'), 0))
    drive = read(machine, monkeypatch)  # a type that pySMART refuses
    assert (drive.state, drive.interface, drive.raw(197)) == ("read", "usbjmicron", 0)


@pytest.mark.parametrize("status", [1, 2])
def test_an_empty_object_is_no_data(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    refused = json.dumps({"smartctl": {"exit_status": 2, "messages": [{"string": "No such"}]}})
    drive = read(FakeMachine(json=(refused, 2), text=("", status)), monkeypatch)
    assert (drive.state, drive.why, drive.passed) == ("no-data", "No such", None)


def test_full_text_with_a_status_of_no_data_is_not_believed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drive = read(FakeMachine(json=("", 2), text=(TEXT, 2)), monkeypatch)
    assert drive.state == "no-data"


def test_a_failing_drives_status_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    said = json.loads(JSON)
    said["smartctl"]["exit_status"], said["smart_status"] = 0b11001000, {"passed": False}
    machine = FakeMachine(
        json=(json.dumps(said), 200), text=(TEXT.replace("PASSED", "FAILED!"), 200)
    )
    drive = read(machine, monkeypatch)
    assert (drive.state, drive.passed, drive.disagreements) == ("read", False, ())


def test_a_sleeping_drive_is_not_woken(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = FakeMachine(json=(json.dumps({"smartctl": {"exit_status": 3}}), 3))
    assert read(machine, monkeypatch).state == "standby"
    assert len(machine.asked) == 2  # the scan and the one question that lets it sleep


def test_a_hung_drive_is_no_data_and_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = FakeMachine(json=TimedOut("alpha did not finish `smartctl` within 20 s."))
    drive = read(machine, monkeypatch)
    assert (drive.state, "within 20 s" in drive.why) == ("no-data", True)
    assert len(machine.asked) == 2


def test_a_host_that_vanishes_in_the_middle_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Unreachable):
        read(FakeMachine(text=Unreachable("alpha does not answer.")), monkeypatch)


def test_who_is_not_root_asks_by_sudo(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = FakeMachine("panel@alpha")
    read(machine, monkeypatch)
    assert all(words[2:5] == ["sudo", "-n", "smartctl"] for words in machine.asked)


def test_an_old_smartctl_is_scanned_by_text(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = FakeMachine(scan=("UNRECOGNIZED OPTION: j", 1), plain=("/dev/sda -d sat # x\n", 0))
    assert read(machine, monkeypatch).device == "/dev/sda"


def test_without_smartctl_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = FakeMachine(scan=("", 127, "sh: 1: smartctl: not found"))
    with pytest.raises(Missing, match="apt install smartmontools"):
        read(machine, monkeypatch)


def test_without_leave_for_sudo_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = FakeMachine("panel@alpha", scan=("", 1, "sudo: a password is required"))
    with pytest.raises(CommandFailed, match="sudo -n smartctl"):
        read(machine, monkeypatch)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ({"value": 0, "string": "Completed without error", "passed": True}, "passed"),
        ({"value": 0x19, "string": "Aborted by host"}, "aborted"),
        ({"value": 0x30, "string": "Fatal or unknown error"}, "fatal"),
        ({"value": 0x79, "string": "Completed: read failure", "passed": False}, "failed"),
        ({"value": 0xF9, "string": "Self-test routine in progress"}, "running"),
        ({"string": "Completed: servo/seek failure", "passed": False}, "failed"),
    ],
)
def test_self_tests_by_their_code(
    monkeypatch: pytest.MonkeyPatch, status: dict[str, Any], outcome: str
) -> None:
    said = json.loads(JSON)
    newest = {"type": {"string": "Short offline"}, "status": status, "lifetime_hours": 9}
    said["ata_smart_self_test_log"] = {"extended": {"table": [newest, None]}}
    drive = read(FakeMachine(json=(json.dumps(said), 0)), monkeypatch)
    assert [(test.outcome, test.hours) for test in drive.tests] == [(outcome, 9)]
