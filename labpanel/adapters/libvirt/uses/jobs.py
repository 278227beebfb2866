"""What each kind of job needs of libvirt: the uses together."""

from typing import Protocol

from labpanel.adapters.libvirt.uses.agent import AsksAgent
from labpanel.adapters.libvirt.uses.backups import PullsDisks, ReadsBackups
from labpanel.adapters.libvirt.uses.borrowing import PullsBlocks
from labpanel.adapters.libvirt.uses.checkpoints import Checkpoints
from labpanel.adapters.libvirt.uses.definitions import DefinesDomains
from labpanel.adapters.libvirt.uses.hosts import ReadsHost
from labpanel.adapters.libvirt.uses.moving import MovesDomains
from labpanel.adapters.libvirt.uses.power import Powers
from labpanel.adapters.libvirt.uses.transient import RunsTransient


class BacksUp(PullsDisks, Checkpoints, Powers, ReadsHost, Protocol):
    """A backup of one VM, running or off."""


class MakesWay(ReadsBackups, Checkpoints, Protocol):
    """Checkpoints that go since their VM has snapshots."""


class Restores(DefinesDomains, Checkpoints, Powers, ReadsHost, Protocol):
    """A VM that comes from a generation, as a new one or in the place of its disks."""


class Removes(DefinesDomains, Powers, Protocol):
    """A VM that the panel made and takes back."""


class Tends(PullsBlocks, DefinesDomains, Powers, Protocol):
    """A VM that runs on blocks of a generation."""


class Rehearses(RunsTransient, AsksAgent, Protocol):
    """A generation booted for a look inside."""


class Moves(MovesDomains, DefinesDomains, Powers, ReadsHost, Protocol):
    """One end of a move."""
