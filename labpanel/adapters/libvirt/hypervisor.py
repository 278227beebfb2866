"""libvirt on a host: every call as a method, over a connection of its own or over a kept one."""

import atexit
import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from labpanel.adapters.errors import AdapterError, Refused, TimedOut, Unreachable
from labpanel.adapters.libvirt.child_process import ChildProcess
from labpanel.adapters.libvirt.uses.agent import AgentCalls
from labpanel.adapters.libvirt.uses.backups import BackupCalls
from labpanel.adapters.libvirt.uses.borrowing import BorrowingCalls
from labpanel.adapters.libvirt.uses.checkpoints import CheckpointCalls
from labpanel.adapters.libvirt.uses.definitions import DefinitionCalls
from labpanel.adapters.libvirt.uses.hosts import HostCalls
from labpanel.adapters.libvirt.uses.inventory import InventoryCalls
from labpanel.adapters.libvirt.uses.moving import MovingCalls
from labpanel.adapters.libvirt.uses.power import PowerCalls
from labpanel.adapters.libvirt.uses.transient import TransientCalls
from labpanel.lib.shapes import Endpoint

IDLE_SECONDS = 120


class Hypervisor(
    InventoryCalls,
    PowerCalls,
    DefinitionCalls,
    BackupCalls,
    CheckpointCalls,
    BorrowingCalls,
    AgentCalls,
    TransientCalls,
    HostCalls,
    MovingCalls,
):
    """One host's libvirt. What a function needs of it is one of the Protocols in uses/."""


class OwnConnection(Hypervisor):
    """A child process of its own, for one piece of work. Not thread-safe."""

    def __init__(self, endpoint: Endpoint, channel: str = "main") -> None:
        self.child = ChildProcess(endpoint, channel)
        super().__init__(_Direct(self.child))

    def close(self) -> None:
        """Ends a call that is under way in another thread too."""
        self.child.close()


@dataclass(frozen=True, slots=True)
class _Direct:
    """Each call once: a connection that breaks under a piece of work is that work's to judge."""

    child: ChildProcess

    @property
    def host(self) -> str:
        return self.child.endpoint.name

    def send(
        self, name: str, arguments: dict[str, object], *, seconds: float, may_repeat: bool
    ) -> object:
        return self.child.call(name, arguments, deadline=seconds)


@dataclass(frozen=True, slots=True)
class _Kept:
    """Over the pool's connection to one host."""

    pool: "Pool"
    endpoint: Endpoint

    @property
    def host(self) -> str:
        return self.endpoint.name

    def send(
        self, name: str, arguments: dict[str, object], *, seconds: float, may_repeat: bool
    ) -> object:
        return self.pool.send(
            self.endpoint, name, arguments, seconds=seconds, may_repeat=may_repeat
        )


class Pool:
    """One kept connection for each host, for the many short reads; a lock for each."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._kept: dict[Endpoint, Kept] = {}

    def of(self, endpoint: Endpoint) -> Hypervisor:
        """The host's libvirt over its kept connection."""
        return Hypervisor(_Kept(self, endpoint))

    def send(
        self,
        endpoint: Endpoint,
        name: str,
        arguments: dict[str, object],
        *,
        seconds: float,
        may_repeat: bool,
    ) -> object:
        """Ask once, and once more where only the kept connection was broken and the call's
        definition says that it may be repeated. Raises an AdapterError."""
        kept = self._keep(endpoint)
        if not kept.lock.acquire(timeout=seconds):
            raise TimedOut(f"libvirt on {endpoint.name} is still busy with an earlier question.")
        try:
            try:
                answer = kept.child.call(name, arguments, deadline=seconds)
            except Unreachable:
                if not (kept.worked and may_repeat):
                    raise
                answer = kept.child.call(name, arguments, deadline=seconds)
            kept.worked = True
            return answer
        except AdapterError as error:
            kept.worked = isinstance(error, Refused)
            raise
        finally:
            kept.used_at = time.monotonic()
            kept.lock.release()

    def close(self) -> None:
        with self._guard:
            for kept in self._kept.values():
                kept.child.close()
            self._kept.clear()

    def _keep(self, endpoint: Endpoint) -> "Kept":
        """The host's entry; on the way, children that were not asked for a while are ended."""
        with self._guard:
            idle = time.monotonic() - IDLE_SECONDS
            for other, kept in list(self._kept.items()):
                if other != endpoint and kept.used_at < idle and kept.lock.acquire(blocking=False):
                    kept.child.close()
                    del self._kept[other]
                    kept.lock.release()
            return self._kept.setdefault(endpoint, Kept(ChildProcess(endpoint)))


@dataclass(slots=True)
class Kept:
    """`worked`: the last call was answered, so a break is the connection's, not the host's."""

    child: ChildProcess
    lock: threading.Lock = field(default_factory=threading.Lock)
    used_at: float = field(default_factory=time.monotonic)
    worked: bool = False


pool = Pool()
atexit.register(pool.close)


@contextlib.contextmanager
def opened(endpoint: Endpoint, channel: str = "main") -> Iterator[OwnConnection]:
    """A connection of its own for one piece of work (backup, move), closed at the end."""
    connection = OwnConnection(endpoint, channel)
    try:
        yield connection
    finally:
        connection.close()
