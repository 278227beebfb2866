"""What the tests of moves do on the practice hosts: slow a cable down, look at both sides."""

import contextlib
import subprocess
import urllib.request
from collections.abc import Iterator

from lab.layout import Host
from lab.state import Lab
from lab.virsh import states

IMAGES = "/srv/images"


@contextlib.contextmanager
def slow(host: Host) -> Iterator[None]:
    """Let at most 40 Mbit/s go to the host, so that a move can be caught in the middle."""
    device = ["dev", host.cable, "root"]
    rate = ["tbf", "rate", "40mbit", "burst", "128k", "latency", "200ms"]
    subprocess.run(["tc", "qdisc", "add", *device, *rate], check=True, timeout=10)
    try:
        yield
    finally:
        subprocess.run(["tc", "qdisc", "del", *device], check=True, timeout=10)


def running(lab: Lab, vm: str) -> list[str]:
    """The hosts whose libvirt says that the VM runs."""
    return [name for name in lab.hosts if states(lab.layout.host(name)).get(vm) == "running"]


def files(lab: Lab, host: str, pattern: str) -> list[str]:
    found = lab.ssh(host, ["find", IMAGES, "-name", pattern, "-size", "+1M"]).stdout
    return sorted(found.split())


def lines(lab: Lab) -> list[int]:
    """The numbers that web's writer wrote and synced, as its web server hands them out."""
    address = f"http://10.77.{lab.layout.number}.12/lines.log"
    with urllib.request.urlopen(address, timeout=30) as answer:
        text = answer.read().decode("ascii")
    whole = text[: text.rindex("\n")].split("\n")
    return [int(line.split(" ")[0]) for line in whole if float(line.split(" ")[1]) > 0]


def digest(lab: Lab, host: str, image: str) -> str:
    """SHA-256 of what a guest would read from an image."""
    raw = f"{IMAGES}/.digested"
    try:
        lab.ssh(host, ["qemu-img", "convert", "-U", "-O", "raw", image, raw], timeout=120)
        return lab.ssh(host, ["sha256sum", raw], timeout=120).stdout.split()[0]
    finally:
        lab.ssh(host, ["rm", "-f", raw])


def image_format(lab: Lab, host: str, image: str) -> str:
    said = lab.ssh(host, ["qemu-img", "info", "-U", image]).stdout
    return next(line.split(": ")[1] for line in said.splitlines() if "file format" in line)
