"""Claim a subnet number for a lab so that labs run side by side."""

from __future__ import annotations

import json
from pathlib import Path

from lab.commands import LabError, run
from lab.layout import ROOT, Layout
from lab.locks import exclusive

NETNS = Path("/run/netns")
NETNS_MARK = ".made-run-netns"
"""File in ROOT saying that /run/netns became a mount for a lab, so labs remove it."""

NUMBERS = range(1, 255)
CLAIM = "lab.json"


def read(name: str) -> Layout | None:
    """Return the lab's layout, or None when it has claimed no number."""
    try:
        raw = json.loads((ROOT / name / CLAIM).read_text())
    except FileNotFoundError:
        return None
    return Layout(name=str(raw["name"]), number=int(raw["number"]))


def _claimed() -> set[int]:
    """Numbers that labs on this machine have claimed."""
    folders = ROOT.iterdir() if ROOT.is_dir() else iter(())
    layouts = (read(folder.name) for folder in folders if folder.is_dir())
    return {layout.number for layout in layouts if layout}


def _seen_on_the_machine() -> set[int]:
    """Numbers whose subnet some interface already has an address in."""
    links = json.loads(run(["ip", "-j", "-4", "address", "show"]).stdout or "[]")
    addresses = [str(a.get("local", "")) for link in links for a in link.get("addr_info", [])]
    return {int(a.split(".")[2]) for a in addresses if a.startswith("10.77.")}


def _write(layout: Layout) -> None:
    """Write the claim in one step: there is a whole claim or none."""
    layout.state_dir.mkdir(parents=True, exist_ok=True)
    partial = layout.state_dir / f"{CLAIM}.partial"
    partial.write_text(json.dumps({"name": layout.name, "number": layout.number}) + "\n")
    partial.replace(layout.state_dir / CLAIM)


def claim(name: str) -> Layout:
    """Return the lab's layout, with a free number if it has none yet."""
    with exclusive("claims", timeout=30):
        layout = read(name)
        if layout:
            return layout
        taken = _claimed() | _seen_on_the_machine()
        free = next((number for number in NUMBERS if number not in taken), None)
        if free is None:
            raise LabError("All 254 lab subnets of this machine are taken: take a lab down.")
        layout = Layout(name, free)
        _write(layout)
        mark_netns()
        return layout


def known() -> list[str]:
    """Names of all labs on this machine, also half-made ones."""
    return sorted(path.name for path in ROOT.iterdir() if path.is_dir()) if ROOT.is_dir() else []


def forget(folder: Path) -> None:
    """Drop the claim file last of all, and the common folder when it is empty."""
    with exclusive("claims", timeout=30):
        (folder / CLAIM).unlink(missing_ok=True)
        if folder.is_dir():
            folder.rmdir()
        if ROOT.is_dir() and not known():
            _leave()


def _netns_mounted() -> bool:
    """Whether iproute2 has made /run/netns; a bind mount that os.path.ismount misses."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return any(line.split()[4] == str(NETNS) for line in lines)


def mark_netns() -> None:
    """Note, before the first namespace, whether /run/netns is ours to remove."""
    if not _netns_mounted():
        (ROOT / NETNS_MARK).touch()


def _leave() -> None:
    """Remove what all labs share, since none is left."""
    mark = ROOT / NETNS_MARK
    if mark.exists():
        if _netns_mounted() and not any(NETNS.iterdir()):
            run(["umount", str(NETNS)], check=False)
            NETNS.rmdir()
        mark.unlink()
    ROOT.rmdir()
