"""What a policy does not keep goes, over SSH, and what stays reads as it did (level 2)."""

from collections.abc import Iterator

import pytest

from lab import agent
from lab.state import Lab
from lab.virsh import inside
from tests.lab.panels import Panel

pytestmark = pytest.mark.timeout(300)
VM, POLICY = "web", "only-one"
WHEN = ("--cron", "0 0 1 1 *")


def write(lab: Lab, text: str) -> None:
    words = ["/bin/sh", "-c", f"echo {text} > /root/said; sync"]
    done = agent.run_in_guest(lab.layout.host("alpha"), VM, words)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def four(lab: Lab, panel: Panel) -> Iterator[list[str]]:
    """The four newest copies of web, the oldest first, the second protected; a policy that keeps
    the last one, and runs nothing."""
    keys = []
    for number in range(4):
        write(lab, f"copy {number}")
        keys.append(panel.json("backup", VM, "--store", "far")["generation"])
    panel("policy", "add", POLICY, "--to", "far", "--keep-last", "1", "--no-enabled", *WHEN)
    panel("policy", "assign", VM, POLICY)
    panel("protect", keys[1], "--reason", "before the upgrade")
    yield keys
    panel("policy", "remove", POLICY)


def test_what_stays_reads_as_it_did(lab: Lab, panel: Panel, four: list[str]) -> None:
    """The first goes into the second, which becomes the oldest; the fourth is rebuilt on it."""
    (done,) = panel.json("prune", VM, "--store", "far")
    fates = {each["generation"]: each["fate"] for each in done["generations"]}
    assert [fates[key] for key in four] == ["dropped", "kept", "dropped", "kept"]
    rows = panel.json("generations", VM)
    kept = sorted(key for key, fate in fates.items() if fate == "kept")
    assert sorted(row["generation"] for row in rows) == kept
    folder = f"/srv/store/{rows[0]['vm_uuid']}"
    assert inside(lab.layout.host("beta"), ["ls", folder]).stdout.split() == kept
    # The next backup goes on from what stayed.
    newest = panel.json("backup", VM, "--store", "far")
    assert "full" not in [disk["mode"] for disk in newest["disks"]]
    for key in (four[1], four[3], newest["generation"]):
        assert panel.json("verify", key, "--level", "2")["verified"] is True
