"""The lab as tests and other programs use it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab import claim, hostconf, lifecycle, namespace
from lab.commands import DEADLINE, LabError, run
from lab.layout import DEFAULT_NAME, ROOT, Layout, check_name
from lab.layout import Host as HostLayout

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True)
class Host:
    """One practice host of a lab."""

    layout: HostLayout

    @property
    def name(self) -> str:
        """`alpha` or `beta`."""
        return self.layout.name

    @property
    def address(self) -> str:
        """IPv4 address; sshd listens on port 22."""
        return self.layout.address

    @property
    def fingerprint(self) -> str:
        """`SHA256:…` of the host's ssh key."""
        return hostconf.fingerprint(self.layout)

    @property
    def namespace(self) -> str:
        """Name of the network namespace."""
        return self.layout.namespace

    @property
    def state_dir(self) -> Path:
        """Folder on this machine with the host's disks, keys and logs."""
        return self.layout.state_dir


@dataclass(frozen=True)
class Lab:
    """A lab by its name; it may be up or not."""

    name: str

    @classmethod
    def load(cls, name: str | None = None) -> Lab:
        """The lab ``name``, else the one that LABPANEL_LAB names, else `demo`."""
        return cls(check_name(name or os.environ.get("LABPANEL_LAB", DEFAULT_NAME)))

    @property
    def layout(self) -> Layout:
        """Names, addresses and folders; LabError when the lab is not up."""
        layout = claim.read(self.name)
        if layout is None:
            raise LabError(f"There is no practice lab {self.name!r}: bring it up first.")
        return layout

    @property
    def state_dir(self) -> Path:
        """Folder with everything that `down` removes."""
        return ROOT / self.name

    @property
    def key(self) -> Path:
        """The lab's own private ssh key, known to every host."""
        return self.layout.key

    @property
    def hosts(self) -> dict[str, Host]:
        """The hosts by name."""
        return {name: Host(host) for name, host in self.layout.hosts.items()}

    def up(self) -> None:
        """Bring the lab up as far as it is not yet."""
        lifecycle.up(self.name)

    def down(self) -> None:
        """Remove the lab and every trace of it."""
        lifecycle.down(self.name)

    def authorize(self, key_file: Path) -> None:
        """Let the owner of the public key in ``key_file`` sign in to every host."""
        line = key_file.read_text()
        for host in self.layout.hosts.values():
            hostconf.authorize(host, line)

    def ssh(
        self,
        host: str,
        argv: Sequence[str],
        *,
        check: bool = True,
        timeout: float = DEADLINE,
        text_in: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run ``argv`` as root on ``host`` and return its result, outputs as text.

        Enters the host's namespaces rather than its network, so it works while
        the cable is out or sshd is stopped. LabError as in `commands.run`.
        """
        prefix = namespace.enter(self.layout.host(host))
        return run([*prefix, *argv], check=check, timeout=timeout, text_in=text_in)
