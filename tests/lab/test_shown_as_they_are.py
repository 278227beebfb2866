"""A disk without copies and a host whose libvirt hangs are shown as they are, on real hosts."""

from collections.abc import Callable
from typing import Any

from lab import faults
from lab.guests import add_disk
from lab.state import Lab
from lab.virsh import virsh
from tests.lab.panels import Panel

Eventually = Callable[..., Any]


def verdicts(panel: Panel, vm: str) -> dict[str, str]:
    rows = panel.json("coverage")
    return {row["disk"]: row["verdict"] for row in rows if row["vm"] == vm}


def states(panel: Panel) -> dict[str, str]:
    return {row["name"]: row["state"] for row in panel.json("vm", "list")}


def test_a_disk_that_was_not_added_to_the_backups_is_red(
    lab: Lab, panel: Panel, eventually: Eventually
) -> None:
    """It is red because it exists; it need not be listed anywhere."""
    alpha = lab.layout.host("alpha")
    add_disk(lab.layout, "alpha", "web", "vdy")
    try:
        eventually(lambda: verdicts(panel, "web").get("vdy") == "none", "vdy is red", 30)
    finally:
        virsh(alpha, "detach-disk", "web", "vdy", "--persistent")
    eventually(lambda: "vdy" not in verdicts(panel, "web"), "vdy is gone again", 60)


def test_a_hung_libvirt_hides_only_its_own_vms(
    lab: Lab, panel: Panel, eventually: Eventually
) -> None:
    """Unknown, never stopped; the other host goes on; all well again afterwards."""
    alpha = lab.layout.host("alpha")
    faults.cause(alpha, "hang")
    try:
        eventually(lambda: states(panel)["home"] == "unknown", "home is unknown", 60)
        beta = next(row for row in panel.json("host", "list") if row["name"] == "beta")
        assert (beta["state"], beta["reason"]) == ("up", "")
    finally:
        faults.heal(lab.layout, alpha)
    eventually(lambda: states(panel)["home"] == "running", "home is known again", 60)
