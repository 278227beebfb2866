"""libvirt on a host, reached through a child process that may be killed at any moment.

The host's libvirt socket is forwarded over the panel's one SSH connection, so the URI is always
`qemu+unix:///system?socket=…`: no second SSH, no second place for keys.
"""

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
from pathlib import Path
from typing import Any

from django.conf import settings

from labpanel.adapters.errors import AdapterError, Missing, Refused, TimedOut, Unreachable
from labpanel.adapters.machine import Machine, end
from labpanel.lib.shapes import Endpoint

OPEN_SECONDS = 8
# virErrorNumber (libvirt/virterror.h) → what it means to us
_GONE = {38, 39, 88}  # SYSTEM_ERROR, RPC, INTERNAL keep-alive: the connection is not usable
_NO_DOMAIN = 42


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
            assert process is not None and process.stdin is not None  # noqa: S101 - for mypy
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
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(OSError):
                    if pipe is not None:
                        pipe.close()
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
            env={**os.environ, "PYTHONPATH": str(settings.BASE_DIR)},
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
        """A local socket that leads to libvirt's; made again when the master was replaced."""
        master = self.machine.channel.control_path
        digest = hashlib.sha256(f"{master} {self.endpoint.libvirt_socket}".encode()).hexdigest()
        local = Path(settings.RUNTIME_DIR) / f"v-{digest[:12]}"
        self.machine.argv(["true"])  # opens the master if it is gone
        fresh = local.exists() and local.stat().st_mtime >= master.stat().st_mtime
        if not fresh:
            local.unlink(missing_ok=True)
            self.machine.forward_to(local, self.endpoint.libvirt_socket)
        return local

    def _read(self, deadline: float, what: str) -> dict[str, Any]:
        assert self._process is not None and self._process.stdout is not None  # noqa: S101
        stream = self._process.stdout.fileno()
        until = time.monotonic() + deadline
        while b"\n" not in self._buffer:
            ready, _, _ = select.select([stream], [], [], max(0, until - time.monotonic()))
            if not ready:
                self.close()
                raise TimedOut(
                    f"libvirt on {self.endpoint.name} did not answer `{what}` within "
                    f"{deadline:.0f} s."
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
        if code in _GONE:
            self.close()
        error: type[AdapterError] = Missing if code == _NO_DOMAIN else Refused
        raise error(f"libvirt on {self.endpoint.name} refused `{name}`: {message}", detail)


class Pool:
    """One kept connection for each host, for the many short calls; a lock for each."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._kept: dict[Endpoint, tuple[threading.Lock, Hypervisor]] = {}

    def call(self, endpoint: Endpoint, name: str, *, deadline: float, **arguments: Any) -> Any:
        with self._guard:
            lock, hypervisor = self._kept.setdefault(
                endpoint, (threading.Lock(), Hypervisor(endpoint))
            )
        if not lock.acquire(timeout=deadline):
            raise TimedOut(f"libvirt on {endpoint.name} is still busy with an earlier question.")
        try:
            return hypervisor.call(name, deadline=deadline, **arguments)
        finally:
            lock.release()

    def close(self) -> None:
        with self._guard:
            for _, hypervisor in self._kept.values():
                hypervisor.close()
            self._kept.clear()


pool = Pool()


@contextlib.contextmanager
def opened(endpoint: Endpoint, channel: str = "main") -> Iterator[Hypervisor]:
    """A connection of its own for one piece of work (backup, move), closed at the end."""
    hypervisor = Hypervisor(endpoint, channel)
    try:
        yield hypervisor
    finally:
        hypervisor.close()
