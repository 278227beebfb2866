"""The child process that talks to one host's libvirt, and may be killed at any moment.

The host's libvirt socket is forwarded over the panel's one SSH connection, so the URI is always
`qemu+unix:///system?socket=…`: no second SSH, no second place for keys. Only hypervisor.py imports
this module: everywhere else libvirt is asked by the typed methods of uses/.
"""

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from django.conf import settings

from labpanel.adapters.answers import safe_json
from labpanel.adapters.answers.bounded import Late
from labpanel.adapters.answers.marked_lines import Flooded, MarkedLines
from labpanel.adapters.errors import (
    AdapterError,
    Excessive,
    Missing,
    Refused,
    TimedOut,
    Unreachable,
)
from labpanel.adapters.libvirt import words as libvirt_words
from labpanel.adapters.ssh.file_lock import locked
from labpanel.adapters.ssh.machine import Machine, beside, close_pipes, end, listens
from labpanel.lib.quoted import quoted
from labpanel.lib.shapes import Endpoint

OPEN_SECONDS = 8
MOST_ANSWER = 11 << 20  # the child sends a little less at most
_VALUES = 100_000
_NO_DOMAIN = 42  # VIR_ERR_NO_DOMAIN (libvirt/virterror.h)


class ChildProcess:
    """One connection. Not thread-safe: the pool of hypervisor.py hands it out under a lock."""

    def __init__(self, endpoint: Endpoint, channel: str = "main") -> None:
        self.endpoint = endpoint
        self.machine = Machine(endpoint, channel)
        self._process: subprocess.Popen[bytes] | None = None
        self._lines: MarkedLines | None = None
        self._number = 0

    def call(self, name: str, arguments: Mapping[str, object], *, deadline: float) -> object:
        """Ask the child; kill it when the deadline passes. Raises an AdapterError."""
        process = self._process if self._alive() else self._open()
        self._number += 1
        request = {"id": self._number, "call": name, "args": dict(arguments)}
        try:
            assert process is not None and process.stdin is not None
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
        except OSError as error:
            self.close()
            raise Unreachable(
                f"The connection to libvirt on {self.endpoint.name} was lost.", str(error)
            ) from error
        return self._result(self._read(deadline, name), name)

    def close(self) -> None:
        if self._process is not None:
            process, self._process = self._process, None
            end(process, grace=0.2)
            close_pipes(process)
        self._lines = None

    def uri(self) -> str:
        """Made here of a known place or a path of our own; no word of a host is part of it, since
        libvirt runs what a URI names (its docs/uri.rst, "command", "keyfile", "ext")."""
        local = self.endpoint.is_local
        socket = str(self.endpoint.libvirt_socket) if local else str(self._forwarded())
        return f"qemu+unix:///system?socket={quote(socket)}"

    def _child(self) -> list[str]:
        return [sys.executable, "-P", "-m", "labpanel.adapters.libvirt.child", self.uri()]

    def _alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _open(self) -> subprocess.Popen[bytes]:
        self.close()
        self._process = subprocess.Popen(
            self._child(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
            start_new_session=True,
        )
        assert self._process.stdout is not None
        self._lines = MarkedLines(self._process.stdout.fileno(), "", most_line=MOST_ANSWER)
        greeting = self._read(OPEN_SECONDS, "open")
        if "error" in greeting:
            self.close()
            raise Unreachable(
                f"libvirt on {self.endpoint.name} cannot be opened: "
                f"{quoted(greeting['error']['message'])}.",
                json.dumps(greeting["error"]),
            )
        return self._process

    def _forwarded(self) -> Path:
        """A local socket that leads to libvirt's, shared by all of the panel's processes.

        It is named after the very master that made it, so that one of a master that is gone is
        never taken for a live one.
        """
        self.machine.ensure_master()
        master = self.machine.channel.control_path
        with locked(beside(master, ".forward"), OPEN_SECONDS, "The tunnel to libvirt"):
            try:
                status = master.stat()
            except FileNotFoundError as gone:
                raise Unreachable(f"The connection to {self.endpoint.name} was lost.") from gone
            family = _digest(f"{master} {self.endpoint.libvirt_socket}")
            name = f"v-{family}-{_digest(f'{status.st_ino} {status.st_mtime_ns}')}"
            local = master.with_name(name)
            if not listens(local):
                for stale in master.parent.glob(f"v-{family}-*"):
                    stale.unlink(missing_ok=True)
                # A master keeps a forward until it is told to drop it.
                with contextlib.suppress(AdapterError):
                    self.machine.cancel_forward_to(local, self.endpoint.libvirt_socket)
                self.machine.forward_to(local, self.endpoint.libvirt_socket)
            return local

    def _read(self, deadline: float, what: str) -> dict[str, Any]:
        assert self._lines is not None
        name = self.endpoint.name
        try:
            line = self._lines.next(time.monotonic() + deadline)
        except Late:
            self.close()
            raise TimedOut(
                f"libvirt on {name} gave no answer within {deadline:.0f} s "
                f"({what}): it hangs or has too much to do."
            ) from None
        except Flooded as flooded:
            self.close()
            raise Excessive(f"libvirt on {name} answered `{what}` with {flooded}.") from flooded
        if line is None:
            self.close()
            raise Unreachable(f"The connection to libvirt on {name} was lost during `{what}`.")
        answer = safe_json.parse(
            line, f"The answer of libvirt on {name}", most_bytes=MOST_ANSWER, most_values=_VALUES
        )
        if not isinstance(answer, dict):
            raise Refused(f"libvirt on {name} gave an answer that makes no sense ({what}).")
        return answer

    def _result(self, answer: dict[str, Any], name: str) -> object:
        if "error" not in answer:
            return answer["ok"]
        code, message = answer["error"]["code"], answer["error"]["message"]
        detail = f"{name}: {json.dumps(answer['error'])}"
        if not answer["error"]["alive"]:
            self.close()
            raise Unreachable(libvirt_words.lost(self.endpoint.name, message), detail)
        error: type[AdapterError] = Missing if code == _NO_DOMAIN else Refused
        raise error(libvirt_words.refused(self.endpoint.name, name, message), detail)


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
