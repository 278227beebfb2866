"""Real faults on real hosts: named in time, with the VMs touched, and well again after."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab import faults, smart_sample
from lab import smart as lab_smart
from lab.state import Lab
from tests.lab.conftest import REPOSITORY, Panel

pytestmark = pytest.mark.lab
Eventually = Callable[..., Any]
PLACE = "/srv/images"


def trouble(panel: Panel, kind: str, subject: str = PLACE) -> dict[str, Any] | None:
    rows = panel.json("incidents")
    found = [row for row in rows if (row["kind"], row["subject"]) == (kind, subject)]
    assert len(found) <= 1, "one cause is one trouble"
    return found[0] if found else None


def test_a_read_only_file_system_is_named_and_well_again(
    lab: Lab, panel: Panel, eventually: Eventually
) -> None:
    """The diary's night: said within a minute, not after five days."""
    alpha = lab.layout.host("alpha")
    faults.cause(alpha, "readonly")
    try:
        found = eventually(lambda: trouble(panel, "file-system"), "alpha's disk is named", 60)
        assert found["host"] == "alpha"
        assert found["severity"] == "bad"
        assert found["title"].startswith(f"alpha cannot write to {PLACE} since ")
        assert {"home", "web", "store"} <= {each["vm"] for each in found["affected"]}
        said = {row["what"]: row for row in found["evidence"]}
        assert said["ext4 errors"]["value"] >= 1
        assert said["ext4 errors"]["since"] == found["opened_at"]
        assert said[f"write probe in {PLACE}"]["value"] == "read-only EROFS"
    finally:
        faults.heal(lab.layout, alpha)
    eventually(lambda: trouble(panel, "file-system") is None, "alpha is well again", 60)


def test_a_disk_that_hangs_is_told_from_one_that_refuses(
    lab: Lab, panel: Panel, eventually: Eventually
) -> None:
    lab.ssh("alpha", ["fsfreeze", "--freeze", PLACE])
    try:
        found = eventually(lambda: trouble(panel, "file-system"), "the hang is named", 60)
        assert found["title"].startswith(f"alpha waits without end when it writes to {PLACE}")
    finally:
        lab.ssh("alpha", ["fsfreeze", "--unfreeze", PLACE])
    eventually(lambda: trouble(panel, "file-system") is None, "writes go through again", 60)


def test_the_probe_leaves_nothing_behind(lab: Lab, panel: Panel) -> None:
    for host in ("alpha", "beta"):
        names = lab.ssh(host, ["ls", "-A", PLACE]).stdout.split()
        assert not [name for name in names if name.startswith(".labpanel-probe")]


# Asks at once; by itself the panel asks every five minutes.
ASK = """
import json
from django.utils import timezone
from hosts.models import Host
from hosts.selectors.findings import incident_list
from hosts.services.check_drives import record
from labpanel.adapters.smart import read_drives
host = Host.objects.get(name="alpha")
record(host, read_drives(host.endpoint()), timezone.now())
print(json.dumps([row.as_json() for row in incident_list() if row.kind == "drive"]))
"""


def ask_drives(panel: Panel) -> dict[str, Any] | None:
    """Ask alpha's drives; the trouble with one of them, if there is any."""
    done = subprocess.run(
        [sys.executable, "manage.py", "shell", "-v", "0", "-c", ASK],
        cwd=REPOSITORY,
        env=panel.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    rows = json.loads(done.stdout)
    assert len(rows) <= 1, "one drive is one trouble"
    return rows[0] if rows else None


def pending(lab: Lab, folder: Path, count: int) -> tuple[Path, Path]:
    """The practice drive's own recordings, with `count` pending sectors."""
    drive = smart_sample.Drive("/dev/sda", lab_smart.serial(lab.layout.host("alpha")))
    text, said = smart_sample.text(drive), json.loads(smart_sample.as_json(drive))
    row = next(line for line in text.splitlines() if "Current_Pending_Sector" in line)
    for attribute in said["ata_smart_attributes"]["table"]:
        if attribute["id"] == 197:
            attribute["raw"] = {"value": count, "string": str(count)}
    (folder / "a.json").write_text(json.dumps(said))
    (folder / "a.txt").write_text(text.replace(row, f"{row.rstrip()[:-1]}{count}"))
    return folder / "a.txt", folder / "a.json"


def test_pending_sectors_are_said_though_the_drive_says_passed(
    lab: Lab, panel: Panel, tmp_path: Path
) -> None:
    alpha = lab.layout.host("alpha")
    text, as_json = pending(lab, tmp_path, 3)
    try:
        for recordings in ((text, as_json), (text, None)):  # either one serves
            lab_smart.swap(alpha, *recordings)
            found = ask_drives(panel)
            assert found is not None
            assert found["subject"] == f"Practice Disk 2000 {lab_smart.serial(alpha)}"
            assert found["severity"] == "watch"
            assert "3 sectors cannot be read (pending)" in found["title"]
            said = {row["what"]: row["value"] for row in found["evidence"]}
            assert (said["its own verdict"], said["pending sectors (197)"]) == ("passed", 3)
            assert "the two readings differ" not in said
    finally:
        lab_smart.reset(alpha)
    assert ask_drives(panel) is None


def test_no_answer_from_the_drive_is_not_good_news(lab: Lab, panel: Panel, tmp_path: Path) -> None:
    alpha = lab.layout.host("alpha")
    text, as_json = pending(lab, tmp_path, 3)
    nothing = tmp_path / "nothing"
    nothing.write_text("")
    try:
        lab_smart.swap(alpha, text, as_json)
        assert ask_drives(panel) is not None
        lab_smart.swap(alpha, nothing, None)
        assert ask_drives(panel) is not None
    finally:
        lab_smart.reset(alpha)
    assert ask_drives(panel) is None
