"""libvirt on a host, reached through a child process that may be killed at any moment.

The host's libvirt socket is forwarded over the panel's one SSH connection, so the URI is always
`qemu+unix:///system?socket=…`: no second SSH, no second place for keys.
"""

import atexit
import contextlib
import hashlib
import json
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings

from labpanel.adapters.errors import AdapterError, Missing, Refused, TimedOut, Unreachable
from labpanel.adapters.file_lock import locked
from labpanel.adapters.machine import Machine, beside, close_pipes, end, listens
from labpanel.lib.shapes import Endpoint

OPEN_SECONDS = 8
IDLE_SECONDS = 120
_NO_DOMAIN = 42  # VIR_ERR_NO_DOMAIN (libvirt/virterror.h)


class Hypervisor:
    """One connection. Not thread-safe: the pool below hands it out under a lock."""

    def __init__(self, endpoint: Endpoint, channel: str = "main") -> None:
        self.endpoint = endpoint
        self.machine = Machine(endpoint, channel)
        self._process: subprocess.Popen[bytes] | None = None
        self._buffer = b""
        self._number = 0

    def call(self, name: str, *, deadline: float, **arguments: Any) -> Any:
        """Ask the child; kill it when the deadline passes. Raises an AdapterError."""
        process = self._process if self._alive() else self._open()
        self._number += 1
        request = {"id": self._number, "call": name, "args": arguments}
        try:
            assert process is not None and process.stdin is not None
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
        except OSError as error:
            self.close()
            raise Unreachable(f"libvirt on {self.endpoint.name} hung up.", str(error)) from error
        return self._result(self._read(deadline, name), name)

    def close(self) -> None:
        if self._process is not None:
            process, self._process = self._process, None
            end(process, grace=0.2)
            close_pipes(process)
        self._buffer = b""

    def uri(self) -> str:
        if "://" in self.endpoint.libvirt_socket:  # test:///default and its like
            return self.endpoint.libvirt_socket
        if self.endpoint.is_local:
            return f"qemu+unix:///system?socket={self.endpoint.libvirt_socket}"
        return f"qemu+unix:///system?socket={self._forwarded()}"

    def _alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _open(self) -> subprocess.Popen[bytes]:
        self.close()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "labpanel.adapters.libvirt_child", self.uri()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
            start_new_session=True,
        )
        greeting = self._read(OPEN_SECONDS, "open")
        if "error" in greeting:
            self.close()
            raise Unreachable(
                f"libvirt on {self.endpoint.name} cannot be opened: {greeting['error']['message']}",
                json.dumps(greeting["error"]),
            )
        return self._process

    def _forwarded(self) -> Path:
        """A local socket that leads to libvirt's, shared by all of the panel's processes.

        It is named after the very master that made it, so that one of a master that is gone is
        never taken for good.
        """
        self.machine.ensure_master()
        master = self.machine.channel.control_path
        with locked(beside(master, ".forward"), OPEN_SECONDS, "The tunnel to libvirt"):
            try:
                status = master.stat()
            except FileNotFoundError as gone:
                raise Unreachable(f"The connection to {self.endpoint.name} broke.") from gone
            family = _digest(f"{master} {self.endpoint.libvirt_socket}")
            name = f"v-{family}-{_digest(f'{status.st_ino} {status.st_mtime_ns}')}"
            local = master.with_name(name)
            if not listens(local):
                for stale in master.parent.glob(f"v-{family}-*"):
                    stale.unlink(missing_ok=True)
                with contextlib.suppress(AdapterError):  # a master forgets no forward by itself
                    self.machine.cancel_forward_to(local, self.endpoint.libvirt_socket)
                self.machine.forward_to(local, self.endpoint.libvirt_socket)
            return local

    def _read(self, deadline: float, what: str) -> dict[str, Any]:
        assert self._process is not None and self._process.stdout is not None
        stream = self._process.stdout.fileno()
        until = time.monotonic() + deadline
        while b"\n" not in self._buffer:
            ready, _, _ = select.select([stream], [], [], max(0, until - time.monotonic()))
            if not ready:
                self.close()
                raise TimedOut(
                    f"libvirt on {self.endpoint.name} gave no answer within {deadline:.0f} s "
                    f"({what}): it hangs or has too much to do."
                )
            chunk = os.read(stream, 1 << 20)
            if not chunk:
                self.close()
                raise Unreachable(f"libvirt on {self.endpoint.name} hung up during `{what}`.")
            self._buffer += chunk
        line, self._buffer = self._buffer.split(b"\n", 1)
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _result(self, answer: dict[str, Any], name: str) -> Any:
        if "error" not in answer:
            return answer["ok"]
        code, message = answer["error"]["code"], answer["error"]["message"]
        detail = f"{name}: {json.dumps(answer['error'])}"
        if not answer["error"]["alive"]:
            self.close()
            sentence = f"The connection to libvirt on {self.endpoint.name} broke: {message}"
            raise Unreachable(sentence, detail)
        error: type[AdapterError] = Missing if code == _NO_DOMAIN else Refused
        raise error(f"libvirt on {self.endpoint.name} refused `{name}`: {message}", detail)


class Pool:
    """One kept connection for each host, for the many short reads; a lock for each."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._kept: dict[Endpoint, Kept] = {}

    def call(self, endpoint: Endpoint, name: str, *, deadline: float, **arguments: Any) -> Any:
        """Ask once, and once more where only the kept connection was broken.

        Only for calls that may be repeated. Raises an AdapterError.
        """
        kept = self._keep(endpoint)
        if not kept.lock.acquire(timeout=deadline):
            raise TimedOut(f"libvirt on {endpoint.name} is still busy with an earlier question.")
        try:
            answer = self._ask(kept, name, deadline, arguments)
            kept.worked = True
            return answer
        except AdapterError as error:
            kept.worked = isinstance(error, Refused)
            raise
        finally:
            kept.used_at = time.monotonic()
            kept.lock.release()

    def _ask(self, kept: "Kept", name: str, deadline: float, arguments: dict[str, Any]) -> Any:
        try:
            return kept.hypervisor.call(name, deadline=deadline, **arguments)
        except Unreachable:
            if not kept.worked:
                raise
            return kept.hypervisor.call(name, deadline=deadline, **arguments)

    def close(self) -> None:
        with self._guard:
            for kept in self._kept.values():
                kept.hypervisor.close()
            self._kept.clear()

    def _keep(self, endpoint: Endpoint) -> "Kept":
        """The host's entry; on the way, children that nobody asks any more are ended."""
        with self._guard:
            idle = time.monotonic() - IDLE_SECONDS
            for other, kept in list(self._kept.items()):
                if other != endpoint and kept.used_at < idle and kept.lock.acquire(blocking=False):
                    kept.hypervisor.close()
                    del self._kept[other]
                    kept.lock.release()
            return self._kept.setdefault(endpoint, Kept(Hypervisor(endpoint)))


@dataclass(slots=True)
class Kept:
    """`worked`: the last call was answered, so a break is the connection's, not the host's."""

    hypervisor: Hypervisor
    lock: threading.Lock = field(default_factory=threading.Lock)
    used_at: float = field(default_factory=time.monotonic)
    worked: bool = False


def _environment() -> dict[str, str]:
    """What keeps a child small and quick to start: libvirt.py from its cache, which saves 12 MB
    and the time to compile it, and one arena for its three threads (mallopt(3))."""
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return {
        **kept,
        "PYTHONPATH": str(settings.BASE_DIR),
        "PYTHONPYCACHEPREFIX": str(Path(settings.HOME_DIR) / "pycache"),
        "MALLOC_ARENA_MAX": "1",
    }


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:10]


pool = Pool()
atexit.register(pool.close)


@contextlib.contextmanager
def opened(endpoint: Endpoint, channel: str = "main") -> Iterator[Hypervisor]:
    """A connection of its own for one piece of work (backup, move), closed at the end."""
    hypervisor = Hypervisor(endpoint, channel)
    try:
        yield hypervisor
    finally:
        hypervisor.close()
