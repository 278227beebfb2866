"""The lab's smartctl is no kinder than the real one, and the panel reads it all the same."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hosts.rules.health.drives import judge
from lab import smart_sample
from labpanel.adapters.drives import smart, smart_ask
from labpanel.adapters.errors import Missing
from labpanel.lib.shapes import PANEL

STANDIN = Path(__file__).resolve().parents[2] / "lab" / "smartctl_standin.py"
SAMPLE = smart_sample.SampleDrive("/dev/sda", "S1")
SAS = {
    "smartctl": {"version": [7, 4], "exit_status": 0},
    "device": {"name": "/dev/sdb", "type": "scsi", "protocol": "SCSI"},
    "scsi_vendor": "EXAMPLE",
    "smart_status": {"passed": True},
    "scsi_grown_defect_list": 60,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Recordings of a SATA and a SAS drive."""
    place = tmp_path / "smart"
    place.mkdir()
    (place / "sda.txt").write_text(smart_sample.text(SAMPLE))
    (place / "sda.json").write_text(smart_sample.as_json(SAMPLE))
    (place / "sdb.json").write_text(json.dumps(SAS))
    return place


def smartctl(folder: Path, *words: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-I", str(STANDIN), str(folder), *words],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.stderr == "", "smartctl writes to standard output alone"
    return done.returncode, done.stdout


def as_json(folder: Path, *words: str) -> tuple[int, dict[str, Any]]:
    status, text = smartctl(folder, "-j", *words)
    said = json.loads(text)
    assert said["smartctl"]["exit_status"] == status
    return status, said


def types(folder: Path, how: str) -> list[str]:
    return [row["type"] for row in as_json(folder, how)[1]["devices"]]


def test_a_scan_guesses_and_an_opened_one_knows(folder: Path) -> None:
    assert types(folder, "--scan") == ["scsi", "scsi"]
    assert types(folder, "--scan-open") == ["sat", "scsi"]
    assert smartctl(folder, "--scan")[1].startswith("/dev/sda -d scsi # /dev/sda, SCSI device\n")


def test_without_drives_there_is_no_list_of_them(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    assert "devices" not in as_json(folder, "--scan")[1]


def test_a_sata_drive_asked_as_scsi_says_nothing(folder: Path) -> None:
    status, said = as_json(folder, "-x", "-d", "scsi", "/dev/sda")
    assert (status, said["scsi_vendor"], said["serial_number"]) == (4, "ATA", "S1")
    assert not {"smart_status", "ata_smart_attributes", "temperature"} & set(said)
    text = smartctl(folder, "--all", "-d", "scsi", "/dev/sda")[1]
    assert "Vendor:               ATA" in text
    assert "PASSED" not in text


@pytest.mark.parametrize("type_", [(), ("-d", "auto"), ("-d", "sat"), ("--device=sat",)])
def test_asked_rightly_it_gives_its_recording(folder: Path, type_: tuple[str, ...]) -> None:
    status, said = as_json(folder, "-x", "-n", "standby,3", *type_, "/dev/sda")
    assert (status, said["smart_status"]) == (0, {"passed": True})


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("-x", "-d", "sat", "/dev/sdb"), 2, "scsi error"),
        (("-x", "-d", "nvme", "/dev/sda"), 2, "Inappropriate ioctl"),
        (("-x", "/dev/sdz"), 2, "No such device"),
        (("-x", "-d", "magic", "/dev/sda"), 1, "Unknown device type 'magic'"),
        (("-x", "-d", "megaraid", "/dev/sda"), 1, "Unknown device type"),
        (("-x", "-n", "tired", "/dev/sda"), 1, "INVALID ARGUMENT TO -n: tired"),
        (("-l", "diary", "/dev/sda"), 1, "INVALID ARGUMENT TO -l: diary"),
        (("-t", "soon", "/dev/sda"), 1, "INVALID ARGUMENT TO -t: soon"),
        (("--everything", "/dev/sda"), 1, "UNRECOGNIZED OPTION"),
        (("-Z", "/dev/sda"), 1, "UNRECOGNIZED OPTION: Z"),
        (("/dev/sda", "-d"), 1, "ARGUMENT REQUIRED FOR OPTION: d"),
        (("--json=x", "/dev/sda"), 1, "INVALID ARGUMENT TO --json: x"),
        (("-x",), 1, "requires a device name"),
        (("-x", "/dev/sda", "/dev/sdb"), 1, "takes ONE device"),
    ],
)
def test_what_it_does_not_know_it_refuses(
    folder: Path, words: tuple[str, ...], status: int, said: str
) -> None:
    assert smartctl(folder, *words)[0] == status
    found, answer = as_json(folder, *words)
    messages = " ".join(row["string"] for row in answer["smartctl"]["messages"])
    assert (found, said in messages) == (status, True)


def test_json_is_for_what_comes_after_it(folder: Path) -> None:
    """As smartmontools 7.3 does it, tried with the real one."""
    for words in (("-n", "tired", "-j", "/dev/sda"), ("--everything", "-j", "/dev/sda")):
        assert smartctl(folder, *words)[1].startswith("smartctl 7.")
    assert json.loads(smartctl(folder, "-jx", "/dev/sda")[1])["serial_number"] == "S1"
    assert json.loads(smartctl(folder, "-xj", "/dev/sda")[1])["serial_number"] == "S1"


@pytest.mark.skipif(shutil.which("smartctl") is None, reason="no smartctl here")
@pytest.mark.parametrize(
    "words",
    [
        ("-j", "-x", "-d", "magic", "/dev/zz"),
        ("-j", "-x", "-d", "scsi", "/dev/zz"),
        ("-j", "-Z", "/dev/zz"),
        ("-n", "tired", "-j", "/dev/zz"),
        ("-x", "-l", "diary", "/dev/zz"),
        ("-j", "-x"),
        ("--everything",),
        ("/dev/zz", "-d"),
    ],
)
def test_it_refuses_as_the_real_one(folder: Path, words: tuple[str, ...]) -> None:
    real = subprocess.run(
        ["smartctl", *words], capture_output=True, text=True, timeout=20, check=False
    )
    status, text = smartctl(folder, *words)
    assert status == real.returncode
    assert text.startswith("{") == real.stdout.startswith("{")
    assert complaint(text)[:40] == complaint(real.stdout)[:40]


def complaint(text: str) -> str:
    """The first line of what smartctl has against a call."""
    if text.startswith("{"):
        return str(json.loads(text)["smartctl"]["messages"][0]["string"])
    return next(line for line in text.splitlines() if re.match("=|ERROR|/dev|Smartctl", line))


@pytest.fixture
def installed(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The stand-in as `smartctl` of this machine, asked as root asks."""
    place = tmp_path / "bin"
    place.mkdir()
    script = place / "smartctl"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -I {STANDIN} {folder} "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{place}:/usr/bin:/bin")
    monkeypatch.setattr(smart_ask, "is_root", lambda _: True)
    return script


def test_the_panel_reads_both_drives_from_it(installed: Path) -> None:
    sata, sas = smart.read_drives(PANEL)
    assert (sata.interface, sata.raw(197), sata.disagreements) == ("sat", 0, ())
    assert (judge(sata).level, judge(sas).level) == ("good", "bad")


def test_the_text_form_alone_serves(installed: Path, folder: Path) -> None:
    (folder / "sda.json").unlink()
    (folder / "sdb.json").unlink()
    [drive] = smart.read_drives(PANEL)
    assert (drive.state, drive.passed, drive.raw(197)) == ("read", True, 0)


def test_without_it_nothing_is_listed_and_it_is_said(
    installed: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    installed.unlink()
    (tmp_path / "bin" / "env").symlink_to("/usr/bin/env")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(Missing, match="smartctl is not installed on the panel's machine"):
        smart.read_drives(PANEL)
