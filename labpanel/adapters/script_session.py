"""A script of ours at work on a machine: JSON lines both ways, every answer with a deadline.

The sources travel on standard input with the first line, so nothing is installed and there is no
version skew. While the session lives a ping goes out every few seconds; when it ends, for whatever
reason, the script ends too (see scripts/wire.py).
"""

import contextlib
import json
import queue
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Self

from labpanel.adapters.errors import AdapterError, Missing, Refused, TimedOut, Unreachable
from labpanel.adapters.machine import PYTHON, SSH_FAILED, Machine, end
from labpanel.adapters.ssh import explain

SCRIPTS = Path(__file__).parent / "scripts"
PING_SECONDS = 5
# Makes modules of the sources in the first line of standard input and runs the last one.
_BOOT = (
    "import sys,types,json\n"
    "for name, source in json.loads(sys.stdin.buffer.readline()):\n"
    "    module = types.ModuleType(name)\n"
    "    sys.modules[name] = module\n"
    "    parent, _, tail = name.rpartition('.')\n"
    "    parent in sys.modules and setattr(sys.modules[parent], tail, module)\n"
    "    exec(compile(source, name, 'exec'), module.__dict__)\n"
    "module.main()\n"
)
_PACKAGES = ("labpanel", "labpanel.adapters", "labpanel.adapters.scripts")

EXPORTER = ("wire", "exporter")
KEEPER = (
    "wire",
    "digests",
    "exporter",
    "manifests",
    "locks",
    "filling",
    "journal",
    "surroundings",
    "keeper",
)
_COPYING = ("blocks", "reading", "crew", "saver", "mover")
PRUNER = (*KEEPER, *_COPYING, "rebuilder", "merges", "pruner")
MOVER = ("wire", "digests", *_COPYING)


class ScriptRefused(Refused):
    """The script's answer was no; `code` says which no."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence, f"{code}: {sentence}")
        self.code = code


class Session:
    """One script on one machine, from start to end. Use as a context manager."""

    def __init__(self, machine: Machine, modules: tuple[str, ...]) -> None:
        self.machine = machine
        self._modules = modules
        self._lines: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._closing = threading.Event()
        self._writing = threading.Lock()

    def __enter__(self) -> "Session":
        # -s and -E: neither the user's nor the environment's packages, but the distribution's.
        self._process = self.machine.start([PYTHON, "-I", "-B", "-c", _BOOT])
        self._stderr: list[bytes] = []
        self._errors = threading.Thread(target=self._read_errors, daemon=True)
        self._errors.start()
        for target in (self._read, self._ping):
            threading.Thread(target=target, daemon=True).start()
        self._write(json.dumps(_sources(self._modules)))
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Say goodbye, and see the local end gone; the other side follows by itself."""
        self._closing.set()
        process = self._process
        with contextlib.suppress(OSError):
            assert process.stdin is not None
            process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=5)
        end(process)

    def call(
        self,
        verb: str,
        *,
        deadline: float,
        told: Callable[[dict[str, Any]], None] | None = None,
        **arguments: Any,
    ) -> Any:
        """Ask one thing. `deadline` is the longest silence: each event that the script sends
        (given to `told`) starts it anew. Raises an AdapterError; ScriptRefused for a no."""
        self._write(json.dumps({"verb": verb, **arguments}))
        while True:
            try:
                message = self._lines.get(timeout=deadline)
            except queue.Empty:
                name = self.machine.endpoint.name
                raise TimedOut(f"{name} said nothing for {deadline:.0f} s ({verb}).") from None
            if message is None:
                raise self._ended()
            if "error" in message:
                raise ScriptRefused(message["error"]["code"], message["error"]["sentence"])
            if "ok" in message:
                return message["ok"]
            if told is not None:
                told(message)

    def _write(self, line: str) -> None:
        with self._writing, contextlib.suppress(OSError):  # a broken pipe shows as an ended script
            assert self._process.stdin is not None
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with contextlib.suppress(ValueError):  # a login banner is no message
                self._lines.put(json.loads(line))
        self._lines.put(None)

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._stderr = [*self._stderr[-40:], line]

    def _ping(self) -> None:
        while not self._closing.wait(PING_SECONDS):
            self._write('{"verb": "ping"}')

    def _ended(self) -> AdapterError:
        endpoint = self.machine.endpoint
        self._errors.join(timeout=2)
        text = b"".join(self._stderr).decode("utf-8", "replace").strip()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=2)
        if "No module named 'nbd'" in text:
            return Missing(
                f"python3-libnbd is missing on {endpoint.name}: apt install python3-libnbd.", text
            )
        if broke := _exception(text):
            return AdapterError(f"labpanel's program on {endpoint.name} broke: {broke}.", text)
        if self._process.returncode == SSH_FAILED and not endpoint.is_local:
            return explain(endpoint, text)
        return Unreachable(f"The connection to {endpoint.name} broke.", text)


def _exception(text: str) -> str:
    """The exception that ended a script, as its traceback names it; empty if none did. What ssh
    says then is not why."""
    _, found, rest = text.rpartition("Traceback (most recent call last)")
    lines = (line for line in rest.splitlines()[1:] if line and not line.startswith(" "))
    return next(lines, "").rstrip(".") if found else ""


class Front:
    """A script's verbs as typed methods: what the fronts of all scripts share. One machine for one
    piece of work, from `with` to its end; `modules` are sent there, the last one answers."""

    modules: ClassVar[tuple[str, ...]]

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self._session = Session(machine, self.modules)

    def __enter__(self) -> Self:
        self._session.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()


def _sources(modules: tuple[str, ...]) -> list[tuple[str, str]]:
    empty = [(name, "") for name in _PACKAGES]
    sent = [
        (f"{_PACKAGES[-1]}.{name}", (SCRIPTS / f"{name}.py").read_text("utf-8")) for name in modules
    ]
    return [*empty, *sent]
