"""Real faults on real hosts: named in time, with the VMs touched, and well again after."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lab import baddisk, faults, smart_sample
from lab import smart as lab_smart
from lab.state import Lab
from tests.lab.asking import PLACE, trouble
from tests.lab.panels import REPOSITORY, Panel

Eventually = Callable[..., Any]


def test_a_disk_that_hangs_is_told_from_one_that_refuses(
    lab: Lab, panel: Panel, eventually: Eventually
) -> None:
    lab.ssh("alpha", ["fsfreeze", "--freeze", PLACE])
    try:
        found = eventually(lambda: trouble(panel, "file-system"), "the hang is named", 60)
        assert found["title"].startswith(f"alpha gets no answer when it writes to {PLACE}")
    finally:
        lab.ssh("alpha", ["fsfreeze", "--unfreeze", PLACE])
    eventually(lambda: trouble(panel, "file-system") is None, "writes go through again", 60)


def test_the_probe_leaves_nothing_behind(lab: Lab, panel: Panel) -> None:
    for host in ("alpha", "beta"):
        names = lab.ssh(host, ["ls", "-A", PLACE]).stdout.split()
        assert not [name for name in names if name.startswith(".labpanel-probe")]


def run_in(panel: Panel, program: str) -> str:
    """What a program prints that runs within the panel."""
    return subprocess.run(
        [sys.executable, "manage.py", "shell", "-v", "0", "-c", program],
        cwd=REPOSITORY,
        env=panel.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    ).stdout


def define_off(lab: Lab, name: str, paths: list[str]) -> None:
    """A VM that is off, with raw disks."""
    disks = "".join(
        f"<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{path}'/>"
        f"<target dev='vd{letter}' bus='virtio'/></disk>"
        for path, letter in zip(paths, "abcdefghij", strict=False)
    )
    xml = (
        f"<domain type='qemu'><name>{name}</name><memory>65536</memory>"
        f"<os><type arch='x86_64'>hvm</type></os><devices>{disks}</devices></domain>"
    )
    lab.ssh("alpha", ["virsh", "define", "/dev/stdin"], text_in=xml)


def forget(lab: Lab, panel: Panel, eventually: Eventually, name: str) -> None:
    lab.ssh("alpha", ["virsh", "undefine", name], check=False)
    eventually(
        lambda: panel("vm", "forget", name, ok=False).returncode == 0, f"{name} is forgotten", 60
    )


def test_old_blocks_that_cannot_be_read_are_named(
    lab: Lab, panel: Panel, eventually: Eventually
) -> None:
    """Writes go through and read back: only what was there before is lost."""
    alpha, path, at = lab.layout.host("alpha"), f"{PLACE}/old.raw", 512 << 10
    with baddisk.unreadable(alpha, path, 1, at):
        define_off(lab, "old", [path])
        try:
            found = eventually(lambda: trouble(panel, "unreadable", path), "it is named", 150)
            assert found["title"] == (
                f"alpha cannot read bytes {at} to {at + baddisk.PAGE - 1} of {path} (old)"
            )
            assert (found["severity"], found["vm"]) == ("bad", "old")
            assert found["evidence"][0]["value"] == "EIO"
            assert trouble(panel, "file-system") is None
        finally:
            forget(lab, panel, eventually, "old")
    eventually(lambda: trouble(panel, "unreadable", path) is None, "it is over", 150)


SLOW = """
import json
from dataclasses import asdict
from hosts.models import Host, Reading
from hosts.rules.health import file_systems
from hosts.selectors.findings import incident_list
from hosts.services.checks.check_health import check_health
host = Host.objects.get(name="alpha")
file_systems.SLOW_FOR = 1.0  # three minutes by default
for turn in range(2):
    check_health(host)
seen = Reading.objects.filter(host=host, kind="probe", subject="/srv/slow").first()
rows = [asdict(row) for row in incident_list() if row.subject == "/srv/slow"]
rows = [row for row in rows if row["kind"] == "file-system"]  # its 64 MiB are little room, too
print(json.dumps({"seen": seen.value, "rows": rows}))
"""


def test_a_slow_disk_under_eight_folders_is_slow_and_not_dead(
    lab: Lab, panel: Panel, eventually: Eventually
) -> None:
    alpha = lab.layout.host("alpha")
    with baddisk.slow(alpha, "/srv/slow", 2) as folder:
        folders = [f"{folder}/f{number}" for number in range(8)]
        paths = [f"{each}/x.raw" for each in folders]
        make = f"mkdir {' '.join(folders)}; for f in {' '.join(paths)}; do truncate -s 1M $f; done"
        lab.ssh("alpha", ["sh", "-c", f"{make}; sync -f {folder}"], timeout=200)
        define_off(lab, "sluggish", paths)
        try:
            eventually(
                lambda: any(vm["name"] == "sluggish" for vm in panel.json("vm", "list")),
                "it is seen",
            )
            told = json.loads(run_in(panel, SLOW))
            assert told["seen"] == {"outcomes": ["ok"], "errors": [], "slow": True}
            (found,) = told["rows"]
            assert (found["kind"], found["severity"]) == ("file-system", "watch")
            assert found["title"].startswith("alpha needs more than ")
            assert " s to write one block to /srv/slow since " in found["title"]
            assert [each["vm"] for each in found["affected"]] == ["sluggish"]
        finally:
            forget(lab, panel, eventually, "sluggish")


def test_little_room_is_said_before_nothing_fits(
    lab: Lab, panel: Panel, eventually: Eventually
) -> None:
    filler = f"{PLACE}/.filler"
    words = ["df", "--output=size,avail", "-B1", PLACE]
    size, free = map(int, lab.ssh("alpha", words).stdout.split()[-2:])
    lab.ssh("alpha", ["fallocate", "-l", str(free - size // 100), filler])
    try:
        found = eventually(lambda: trouble(panel, "room"), "it is said", 60)
        assert found["title"].startswith(f"alpha has little room on {PLACE}: 1 % free")
        assert found["severity"] == "bad"
        assert {"home", "web", "store"} <= {each["vm"] for each in found["affected"]}
        assert trouble(panel, "file-system") is None, "it takes writes"
    finally:
        lab.ssh("alpha", ["rm", filler])
    eventually(lambda: trouble(panel, "room") is None, "there is room again", 60)


# Asks at once; by default the panel asks every five minutes.
ASK = """
import json
from dataclasses import asdict
from django.utils import timezone
from hosts.models import Host
from hosts.selectors.findings import incident_list
from hosts.services.checks.check_drives import record
from labpanel.adapters.drives.smart import read_drives
host = Host.objects.get(name="alpha")
record(host, read_drives(host.endpoint()), timezone.now())
print(json.dumps([asdict(row) for row in incident_list() if row.kind == "drive"]))
"""


def shell(panel: Panel, code: str) -> str:
    """What `code` prints in the panel's own Python."""
    done = subprocess.run(
        [sys.executable, "manage.py", "shell", "-v", "0", "-c", code],
        cwd=REPOSITORY,
        env=panel.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout


def ask_drives(panel: Panel) -> dict[str, Any] | None:
    """Ask alpha's drives; the trouble with one of them, if there is any."""
    rows = json.loads(shell(panel, ASK))
    assert len(rows) <= 1, "one drive is one trouble"
    return rows[0] if rows else None


def pending(lab: Lab, folder: Path, count: int) -> tuple[Path, Path]:
    """The practice drive's own recordings, with `count` pending sectors."""
    drive = smart_sample.SampleDrive("/dev/sda", lab_smart.serial(lab.layout.host("alpha")))
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


LOOK = """
from hosts.models import Host, Reading
from hosts.services.checks.check_drives import check_drives
Reading.objects.filter(kind="smart-look").delete()  # its turn is now
check_drives(Host.objects.get(name="alpha"))
"""
PAGE = """
from django.test import Client
from labpanel.accounts.models import User
client = Client()
client.force_login(User.objects.create_user("reader", password="a long one for the practice lab"))
print(client.get("/hosts/alpha/", HTTP_HOST="localhost").content.decode())
"""
# A file system above the host's own /usr/sbin, in its namespace alone, from which smartctl is gone.
TAKE_AWAY = """
mkdir -p /run/sbin/upper /run/sbin/work
mount -t overlay -o lowerdir=/usr/sbin,upperdir=/run/sbin/upper,workdir=/run/sbin/work \\
    overlay /usr/sbin && rm /usr/sbin/smartctl
"""


def test_drives_that_cannot_be_asked_are_said_with_the_reason(lab: Lab, panel: Panel) -> None:
    lab.ssh("alpha", ["sh", "-c", TAKE_AWAY])
    try:
        shell(panel, LOOK)
        found = trouble(panel, "drives-unread", "")
        assert found is not None
        assert "smartctl is not installed on alpha" in found["title"]
        assert "smartctl is not installed on alpha" in shell(panel, PAGE)
    finally:
        lab.ssh("alpha", ["sh", "-c", "umount /usr/sbin; rm -r /run/sbin"])
    shell(panel, LOOK)
    assert trouble(panel, "drives-unread", "") is None


def test_guests_that_ran_before_their_host_died_are_told(
    lab: Lab, panel: Panel, eventually: Eventually
) -> None:
    """Practice hosts share one kernel and its boot: what tells is that libvirt knows no reason."""
    alpha = lab.layout.host("alpha")
    rows = panel.json("vm", "list", "--host", "alpha")
    ran = {row["name"] for row in rows if row["state"] == "running"}
    assert ran

    def off() -> set[str]:
        return {row["vm"] for row in panel.json("incidents") if row["kind"] == "vm-off"}

    faults.cause(alpha, "die")
    try:
        silent = {"host", "silent"}
        eventually(
            lambda: silent & {row["kind"] for row in panel.json("incidents")}, "alpha is silent"
        )
        assert off() == set()  # it is not known yet
    finally:
        faults.heal(lab.layout, alpha)
    eventually(lambda: off() == ran, f"{ran} are said to be off", 120)
    for name in ran:
        panel("vm", "start", name)
    assert off() == set()
