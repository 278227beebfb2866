"""What the tests ask a panel about VMs, copies, jobs and incidents."""

from collections.abc import Callable
from typing import Any

from tests.lab.panels import Panel

STORE = "/srv/store"
PLACE = "/srv/images"


def vm_of(panel: Panel, name: str, host: str = "") -> dict[str, Any] | None:
    rows = panel.json("vm", "list")
    return next((vm for vm in rows if vm["name"] == name and host in {"", vm["host"]}), None)


def incidents_of(panel: Panel, *kinds: str) -> list[dict[str, Any]]:
    return [one for one in panel.json("incidents") if one["kind"] in kinds]


def trouble(panel: Panel, kind: str, subject: str = PLACE) -> dict[str, Any] | None:
    found = [row for row in incidents_of(panel, kind) if row["subject"] == subject]
    assert len(found) <= 1, "one cause is one trouble"
    return found[0] if found else None


def verdict(panel: Panel, vm: str, disk: str) -> str:
    rows = panel.json("coverage", vm)
    return next((row["verdict"] for row in rows if row["disk"] == disk), "")


def job(panel: Panel, number: int) -> Any:
    return panel.json("job", "show", str(number))


def copying(panel: Panel, eventually: Callable[..., Any], vm: str, disk: str) -> int:
    """Begin a backup to the store far; the job's number once it copies the disk."""
    number: int = panel.json("backup", vm, "--store", "far", "--no-wait")["job"]
    eventually(lambda: disk in (job(panel, number)["phase"] or ""), "it copies", 60)
    return number


def folder_of(panel: Panel, key: str) -> str:
    """The folder of a generation in the store far."""
    found = next(one for one in panel.json("generations") if one["generation"] == key)
    return f"{STORE}/{found['vm_uuid']}/{key}"
