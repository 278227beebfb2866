"""What a drill says: what it did, and where to look for what comes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

PROGRAM = "./panel drill"

_SAID = {
    "readonly": (
        "an ext4 error was put into /srv/{target} of {host}: its kernel now refuses every write "
        "there, as after a failing drive",
        "within half a minute {host} is in trouble and its VMs with it; the first button of each "
        "brings the VM back elsewhere. The VMs run on, and what they write is lost.",
    ),
    "cable": (
        "the network cable of {host} is out, for the host and its VMs",
        "within half a minute {host} does not answer; its VMs are unknown since then, not off, and "
        "the stores on it are silent.",
    ),
    "hang": (
        "libvirtd of {host} is stopped in its tracks; the VMs run on",
        "within half a minute libvirt on {host} is said to hang; the readings of the host itself "
        "go on.",
    ),
    "die": (
        "the power of {host} was cut: every process of it ended at once",
        "within half a minute {host} does not answer; ./panel exposure {host} says what is lost, "
        "and its VMs can be brought back on the other host.",
    ),
    "fill": (
        "the file system /srv/{target} of {host} has no free space left",
        "within half a minute it is a finding; backups to a full store are refused, and a VM whose "
        "image cannot grow is paused.",
    ),
    "kill-qemu": (
        "the QEMU process of {target} on {host} was killed, as the kernel does when memory runs "
        "out",
        "{target} is off within half a minute, and it was not shut down.",
    ),
    "hang-qemu": (
        "the QEMU process of {target} on {host} is stopped in its tracks",
        "{target} does nothing any more, and libvirt waits for it without an end.",
    ),
}
_DEFAULT_TARGET = {"readonly": "images", "fill": "store"}


def told(host: str, fault: str, target: str | None) -> list[str]:
    """The lines after a fault: done, to be watched, to be undone."""
    did, watch = (
        text.format(host=host, target=target or _DEFAULT_TARGET.get(fault, ""))
        for text in _SAID[fault]
    )
    return [
        f"Done: {did}.",
        f"Watch for: {watch}",
        "See it on the panel's first page, or by ./panel incidents. ./panel drill heal mends it.",
    ]


def healed(hosts: Sequence[str]) -> list[str]:
    """The lines after a repair."""
    return [
        f"Done: {' and '.join(hosts)} {'is' if len(hosts) == 1 else 'are'} mended. A file system "
        "that had errors was checked, and the VMs on it were started again.",
        "Watch for: within half a minute all is well again. ./panel incidents --past keeps what "
        "was.",
    ]


def listing() -> str:
    """For --help: what each fault is."""
    lines = [
        f"  {name:10} {did.format(host='HOST', target=_DEFAULT_TARGET.get(name, 'TARGET'))}"
        for name, (did, _) in _SAID.items()
    ]
    return "\n".join(["faults:", *lines])
