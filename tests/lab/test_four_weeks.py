"""The recommended policy for four weeks, with a clock run fast, on real hosts.

Every week to beta and to alpha itself, three copies kept. `home` has one disk at first; the second
comes in week two and is red at once. In the end every copy that is kept boots.
"""

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest

from lab.agent import await_agent, exec_in_guest
from lab.state import Lab
from lab.virsh import inside, virsh
from tests.lab.clock import TimedPanel, library, timed_panel
from tests.lab.panels import Panel
from tests.lab.vms import remove_vm

pytestmark = pytest.mark.timeout(2400)
Eventually = Callable[..., Any]
WEEK = timedelta(days=7)
STORES = {"elsewhere": ("beta", "/srv/images/weeks"), "beside": ("alpha", "/srv/store/weeks")}
SECOND = "/srv/images/home-vdb.qcow2"
# A disk that was just plugged in takes the guest a moment to see.
SEEN = "until findfs LABEL=guest-home >/dev/null 2>&1; do sleep 1; done"
MOUNT = f"{SEEN}; mount -t ext4 -o noatime,errors=remount-ro $(findfs LABEL=guest-home) /home"


def sunday() -> datetime:
    """The Sunday to come, at 02:00 UTC, when the recommended policy is due."""
    today = datetime.now(UTC).date()
    day = today + timedelta(days=(6 - today.weekday()) % 7 or 7)
    return datetime.combine(day, time(2), tzinfo=UTC)


class Story:
    """home, its weeks and the panel that keeps them."""

    def __init__(self, lab: Lab, panel: TimedPanel, eventually: Eventually) -> None:
        self.lab, self.panel, self.eventually = lab, panel, eventually
        self.alpha = lab.layout.host("alpha")

    def guest(self, script: str, host: str = "alpha", vm: str = "home") -> str:
        done = exec_in_guest(self.lab, host, vm, ["/bin/sh", "-c", script])
        assert done.returncode == 0, done.stderr
        return done.stdout.decode()

    def copies(self, store: str) -> list[dict[str, Any]]:
        """home's, oldest first."""
        rows = [row for row in self.panel.json("generations", "home") if row["store"] == store]
        return sorted(rows, key=lambda row: row["taken_at"])

    def idle(self) -> bool:
        return not self.panel.json("jobs", "--active")

    def verdicts(self) -> dict[str, str]:
        return {row["disk"]: row["verdict"] for row in self.panel.json("coverage", "home")}

    def settle(self) -> None:
        """The clock is never moved under a job that runs."""
        self.eventually(self.idle, "no job runs", 600)

    def saved(self, since: datetime) -> bool:
        """Whether both places have a copy of this week; a turn is asked for on the way."""
        self.panel("policy", "run")
        runs = self.panel.json("policy", "show", "weekly")["runs"]
        times = [run["saved_at"] for run in runs if run["vm"] == "home"]
        return len(times) == 2 and all(
            at is not None and datetime.fromisoformat(at) >= since for at in times
        )

    def week(self, number: int, moment: datetime) -> None:
        """One weekly run, to its end."""
        places = "/week /home/week" if number > 1 else "/week"
        self.guest(f"for place in {places}; do echo {number} > $place; done; sync")
        self.settle()
        self.panel.clock.move_to(moment)
        # A clock that jumps by a week prunes nothing until its owner says that it is right.
        self.panel("clock", "confirm")
        self.eventually(lambda: self.saved(moment), f"week {number} is saved", 600)
        self.settle()


@pytest.fixture
def story(lab: Lab, eventually: Eventually) -> Iterator[Story]:
    """Two hosts, a store on each, the recommended policy; a policy that is off takes the other VMs.
    home without its second disk."""
    if library() is None:
        if os.environ.get("CI"):
            pytest.fail("libfaketime is required here and not installed")
        pytest.skip("not installed here: libfaketime")
    alpha = lab.layout.host("alpha")
    for name, path in STORES.values():
        inside(lab.layout.host(name), ["mkdir", "-p", path])
    exec_in_guest(lab, "alpha", "home", ["/bin/sh", "-c", "sync; umount /home"])
    virsh(alpha, "detach-disk", "home", "vdb", "--live", "--config")
    try:
        with timed_panel(sunday() + timedelta(hours=10)) as panel:
            prepare(lab, panel)
            yield Story(lab, panel, eventually)
    finally:
        if "vdb" not in virsh(alpha, "domblklist", "home"):
            attach(lab)
        exec_in_guest(lab, "alpha", "home", ["/bin/sh", "-c", f"{MOUNT}; rm -f /week /home/week"])
        for name, path in STORES.values():
            inside(lab.layout.host(name), ["rm", "-rf", path])


def prepare(lab: Lab, panel: Panel) -> None:
    key = panel.home / "authorize.pub"
    key.write_text(panel("host", "key").stdout)
    lab.authorize(key)
    for host in lab.hosts.values():
        panel("host", "add", host.name, f"root@{host.address}", "--fingerprint", host.fingerprint)
    for name, (where, path) in STORES.items():
        panel("store", "add", name, "--host", where, path)
    panel("policy", "add", "aside", "--cron", "0 2 * * 0", "--to", "far", "--no-enabled")
    for vm in panel.json("vm", "list"):
        if vm["name"] != "home":
            panel("policy", "assign", vm["uuid"], "aside")


def attach(lab: Lab) -> None:
    words = ["--subdriver", "qcow2", "--targetbus", "virtio", "--live", "--config"]
    virsh(lab.layout.host("alpha"), "attach-disk", "home", SECOND, "vdb", *words)


def test_four_weeks(story: Story) -> None:
    panel, first = story.panel, sunday()
    told = panel.json("policy", "recommended")
    assert (told["places"], told["keep_last"], told["default"]) == (["far", "near"], 3, True)
    # Proofs are asked for in hours of their own, so that they are seen to wait for these.
    panel("policy", "set", "weekly", "--window", "04:00-05:00")

    story.week(1, story.panel.clock.now())
    for store in STORES:
        (copy,) = story.copies(store)
        assert [disk["target"] for disk in copy["disks"]] == ["vda"]
    assert story.verdicts() == {"vda": "unverified"}

    attach(story.lab)
    story.eventually(lambda: story.verdicts().get("vdb") == "none", "vdb is red at once", 90)
    story.guest(MOUNT)
    story.week(2, first + WEEK + timedelta(minutes=1))
    assert set(story.verdicts().values()) == {"unverified"}
    modes = {disk["target"]: disk["mode"] for disk in story.copies("elsewhere")[-1]["disks"]}
    assert modes == {"vda": "bitmap", "vdb": "full"}

    story.week(3, first + 2 * WEEK + timedelta(minutes=1))
    restore_mixed(story)

    story.week(4, first + 3 * WEEK + timedelta(minutes=1))
    kept = {
        store: story.eventually(lambda s=store: three(story, s), "three stay", 300)
        for store in STORES
    }
    for copies in kept.values():
        weeks = [datetime.fromisoformat(copy["taken_at"]) for copy in copies]
        assert [at.date() for at in weeks] == [(first + n * WEEK).date() for n in (1, 2, 3)]

    panel.clock.move_to(first + 3 * WEEK + timedelta(hours=2, minutes=5))
    story.eventually(lambda: proven(story), "the newest were read back, and booted", 600)
    story.settle()
    for store in STORES:
        for copy in story.copies(store):
            if not copy["rehearsed_at"]:
                panel("rehearse", copy["generation"])
    assert all(copy["rehearsed_at"] for store in STORES for copy in story.copies(store))
    assert set(story.verdicts().values()) == {"covered"}


def three(story: Story, store: str) -> list[dict[str, Any]]:
    copies = story.copies(store)
    return copies if len(copies) == 3 else []


def proven(story: Story) -> bool:
    story.panel("policy", "run")
    newest = [story.copies(store)[-1] for store in STORES]
    return bool(newest[0]["rehearsed_at"]) and all(copy["verified_at"] for copy in newest)


def restore_mixed(story: Story) -> None:
    """vda of week one and vdb of week three, together on beta; both are kept after week three."""
    one, _, latest = story.copies("elsewhere")
    # A new VM is included, and its first copy is made at once; not here, it lives a minute.
    story.panel("policy", "assign", "home", "weekly")
    story.panel("policy", "set", "weekly", "--no-default")
    try:
        words = ["--to", "beta", "--name", "home-mixed", "--disk", f"vdb={latest['generation']}"]
        story.panel("restore", one["generation"], *words, "--start")
        await_agent(story.lab.layout.host("beta"), "home-mixed", timeout=120)
        assert story.guest("cat /week /home/week", "beta", "home-mixed").split() == ["1", "3"]
    finally:
        remove_vm(story.lab, "beta", "home-mixed")
    story.panel("policy", "set", "weekly", "--default")
