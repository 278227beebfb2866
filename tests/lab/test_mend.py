"""Rot in the store of one real host, mended with what the store of the other one holds."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lab.agent import exec_in_guest
from lab.state import Lab
from lab.virsh import inside
from tests.lab.asking import folder_of
from tests.lab.panels import Panel

NEAR = "/srv/mending"
# Turns the bits of 64 bytes of a file, found by what they are.
_ROT = """
import mmap, sys
known = bytes.fromhex(sys.argv[2])
with open(sys.argv[1], "r+b") as file, mmap.mmap(file.fileno(), 0) as content:
    at = content.find(known)
    assert at >= 0, "the bytes are not in this file as they are"
    content[at:at + 64] = bytes(byte ^ 0xFF for byte in known)
"""


@pytest.fixture
def near(lab: Lab, panel: Panel) -> Iterator[str]:
    """A store on the VM's own host."""
    alpha = lab.layout.host("alpha")
    inside(alpha, ["mkdir", "-p", NEAR])
    panel("store", "add", "mending", "--host", "alpha", NEAR)
    yield "mending"
    panel("store", "remove", "mending")
    inside(alpha, ["rm", "-rf", "--", NEAR])


def test_what_rots_on_one_host_is_mended_from_the_other(
    lab: Lab, panel: Panel, near: str, eventually: Callable[..., Any]
) -> None:
    # What rots is in this file, which both copies hold; the guest changes other blocks between.
    grow = "dd if=/dev/urandom of=/home/rotting bs=1M count=4 && sync"
    known = f"({grow}) 2>/dev/null && dd if=/home/rotting bs=64 count=1 2>/dev/null"
    made = exec_in_guest(lab, "alpha", "home", ["/bin/sh", "-c", known])
    assert len(made.stdout) == 64, made.stderr
    far = panel.json("backup", "home", "--store", "far")["generation"]
    panel("backup", "home", "--store", near)
    rotten = f"{folder_of(panel, far)}/vdb.qcow2"
    inside(lab.layout.host("beta"), ["python3", "-c", _ROT, rotten, made.stdout.hex()])
    said = panel("verify", far, "--level", "1", ok=False)
    assert said.returncode == 1
    assert "vdb.qcow2 is not what was written" in said.stderr
    assert "It is being mended (job" in said.stderr

    def state() -> str:
        rows = panel.json("generations")
        return next(row["state"] for row in rows if row["generation"] == far)

    eventually(lambda: state() == "complete", "the copy is whole again", 120)
    for level in ("1", "2"):
        assert panel.json("verify", far, "--level", level)["verified"] is True
    exec_in_guest(lab, "alpha", "home", ["/bin/rm", "/home/rotting"])
