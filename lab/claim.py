"""Claim a subnet number for a lab so that labs run side by side."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from lab.commands import LabError, run
from lab.layout import ROOT, Layout
from lab.locks import exclusive

NETNS = Path("/run/netns")
NETNS_MARK = ".made-run-netns"
"""File in ROOT saying that /run/netns became a mount for a lab, so labs remove it."""

CHECKOUT = Path(__file__).resolve().parent.parent
"""The copy of labpanel that this is: a lab belongs to the one that brought it up."""

NUMBERS = range(1, 255)
CLAIM = "lab.json"


def read(name: str) -> Layout | None:
    """Return the lab's layout, or None when it has claimed no number."""
    try:
        raw = json.loads((ROOT / name / CLAIM).read_text())
    except FileNotFoundError:
        return None
    return Layout(str(raw["name"]), int(raw["number"]), str(raw.get("checkout", "")))


def must_be_ours(layout: Layout) -> None:
    """LabError for a lab that another checkout brought up and may still want."""
    owner = layout.checkout
    if owner and Path(owner) != CHECKOUT and Path(owner, "lab").is_dir():
        raise LabError(
            f"The practice lab {layout.name!r} belongs to the checkout {owner}. Use it from there, "
            f"or set LABPANEL_LAB to another name for a lab of this checkout."
        )


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
    partial.write_text(json.dumps(asdict(layout)) + "\n")
    partial.replace(layout.state_dir / CLAIM)


def claim(name: str) -> Layout:
    """Return the lab's layout, with a free number if it has none yet."""
    with exclusive("claims", timeout=30):
        layout = read(name)
        if layout:
            must_be_ours(layout)
            return layout
        taken = _claimed() | _seen_on_the_machine()
        free = next((number for number in NUMBERS if number not in taken), None)
        if free is None:
            raise LabError("All 254 lab subnets of this machine are taken: take a lab down.")
        layout = Layout(name, free, str(CHECKOUT))
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
    # Names hold other blanks and line ends than the two that separate (proc(5), mountinfo).
    lines = Path("/proc/self/mountinfo").read_bytes().split(b"\n")
    return any(line.split(b" ")[4:5] == [bytes(NETNS)] for line in lines)


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
