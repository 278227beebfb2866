"""Names, addresses and folders of a lab: all of them follow from its name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from lab.commands import LabError

ROOT = Path("/var/lib/labpanel-lab")
"""One folder per lab, removed by `down`."""

CACHE = Path("/var/cache/labpanel-lab")
"""Kernel, guest images and saved guests, shared by all labs and kept by `down`."""

DEFAULT_NAME = "demo"
HOST_NAMES = ("alpha", "beta")
NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")


@dataclass(frozen=True)
class Host:
    """One practice host; everything is derived, nothing is asked of the machine."""

    lab: str
    number: int
    name: str

    @property
    def address(self) -> str:
        """IPv4 address that sshd listens on."""
        return f"10.77.{self.number}.{HOST_NAMES.index(self.name) + 1}"

    @property
    def namespace(self) -> str:
        """Name of the network namespace, as `ip netns` shows it."""
        return f"{self.lab}-{self.name}"

    @property
    def cable(self) -> str:
        """The root namespace's end of the host's only network cable."""
        return f"lp{self.number}-{self.name}"

    @property
    def state_dir(self) -> Path:
        """Folder with the host's disks, configuration, keys and logs."""
        return ROOT / self.lab / self.name

    @property
    def qemu_as_root(self) -> bool:
        """alpha runs QEMU as root; beta as libvirt-qemu, as Debian ships it."""
        return self.name == "alpha"


@dataclass(frozen=True)
class Layout:
    """A lab's name and the number that it claimed (third byte of its subnet)."""

    name: str
    number: int
    checkout: str = ""
    """The copy of labpanel that brought it up; empty where that is not known."""

    @property
    def state_dir(self) -> Path:
        """Folder with everything that `down` removes."""
        return ROOT / self.name

    @property
    def bridge(self) -> str:
        """Bridge in the root namespace that joins the hosts and the panel."""
        return f"lp{self.number}"

    @property
    def gateway(self) -> str:
        """Address of the root namespace, where the panel runs."""
        return f"10.77.{self.number}.254"

    @property
    def key(self) -> Path:
        """The lab's own private ssh key, known to every host."""
        return self.state_dir / "id_ed25519"

    def host(self, name: str) -> Host:
        """Return the host ``name``; LabError when there is none."""
        if name not in HOST_NAMES:
            raise LabError(f"The lab has no host {name!r}: there are {' and '.join(HOST_NAMES)}.")
        return Host(self.name, self.number, name)

    @property
    def hosts(self) -> dict[str, Host]:
        """All hosts by name."""
        return {name: self.host(name) for name in HOST_NAMES}


def check_name(name: str) -> str:
    """Return ``name`` if a lab may be called so; it becomes part of paths."""
    if not NAME.fullmatch(name):
        raise LabError(
            f"A lab can't be called {name!r}: use small letters, digits and dashes, "
            "a letter first, 31 characters at most."
        )
    return name
