"""A program of the panel that runs on a machine: JSON lines both ways, every answer with a
deadline.

The sources travel on standard input with the first line, so nothing is installed and there is no
version skew. Each message of the script begins with a random mark of this session, so that what
login files and banners print is none. While the session lives a ping goes out every few seconds;
when it ends, for whatever reason, the script ends too (see onhost/runtime/wire.py).
"""

import contextlib
import json
import os
import secrets
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar, Self

from labpanel.adapters.answers import safe_json
from labpanel.adapters.answers.bounded import Late
from labpanel.adapters.answers.marked_lines import MOST_LINE, Flooded, MarkedLines
from labpanel.adapters.errors import (
    AdapterError,
    Excessive,
    Missing,
    Refused,
    TimedOut,
    Unreachable,
)
from labpanel.adapters.ssh.bundle import sources_of
from labpanel.adapters.ssh.machine import PYTHON, SSH_FAILED, Machine, Output, end
from labpanel.adapters.ssh.openssh import explain
from labpanel.lib import io_fault
from labpanel.lib.closed import Odd
from labpanel.lib.io_fault import IoFault
from labpanel.lib.shaped import shaped

PING_SECONDS = 5
# The longest that one verb may take, however often it reports progress.
WHOLE_SECONDS = 24 * 3600
# A verb without a progress callback may take so many times its longest silence.
_UNHEARD = 10
# Events: onhost/blocks/worker_pool.py sends two a second for each disk.
_EVENTS_AT_ONCE, _EVENTS_A_SECOND = 1000, 100
_MOST_VALUES = 250_000
_ERRORS_KEPT, _MOST_ERRORS = 1 << 16, 16 << 20
# Makes modules of the sources in the first line of standard input and runs the last one.
# Annotations are not evaluated: Python 3.9 has no `int | None`.
_BOOT = (
    "import sys,types,json,__future__\n"
    "later = __future__.annotations.compiler_flag\n"
    "mark, sources = json.loads(sys.stdin.buffer.readline())\n"
    "for name, source in sources:\n"
    "    module = types.ModuleType(name)\n"
    "    sys.modules[name] = module\n"
    "    parent, _, tail = name.rpartition('.')\n"
    "    parent in sys.modules and setattr(sys.modules[parent], tail, module)\n"
    "    exec(compile(source, name, 'exec', later), module.__dict__)\n"
    "sys.modules['labpanel.onhost.runtime.wire'].mark_with(mark)\n"
    "module.main()\n"
)


class ScriptRefused(Refused):
    """The script's answer was no; `code` says which no, `io` what could not be read or written,
    and `machine` on which."""

    def __init__(
        self, code: str, sentence: str, io: IoFault | None = None, machine: str = ""
    ) -> None:
        super().__init__(sentence, f"{code}: {sentence}")
        self.code = code
        self.io = io
        self.machine = machine


class ProgramSession:
    """One script on one machine, from start to end. Use as a context manager."""

    def __init__(self, machine: Machine, program: str) -> None:
        self.machine = machine
        self._program = program
        self._mark = secrets.token_hex(16)
        self._closing = threading.Event()
        self._writing = threading.Lock()

    def __enter__(self) -> "ProgramSession":
        # -I: neither the user's nor the environment's packages, but the distribution's.
        self._process = self.machine.start([PYTHON, "-I", "-B", "-c", _BOOT])
        assert self._process.stdout is not None
        self._lines = MarkedLines(self._process.stdout.fileno(), self._mark)
        self._stderr = bytearray()
        self._errors = threading.Thread(target=self._read_errors, daemon=True)
        self._errors.start()
        threading.Thread(target=self._ping, daemon=True).start()
        self._write(json.dumps([self._mark, sources_of(self._program)]))
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close standard input and wait for the local process to exit; the far end follows."""
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
        on_progress: Callable[[dict[str, Any]], None] | None = None,
        shape: Any = Any,
        **arguments: Any,
    ) -> Any:
        """Ask one thing. `deadline` is the longest silence: each event that the script sends
        (given to `on_progress`) starts it anew, up to a day in all, or ten times the silence where
        there is none. The answer has that `shape` (lib/shaped.py). Raises an AdapterError;
        ScriptRefused when the program refuses."""
        name = self.machine.endpoint.name
        began, events = time.monotonic(), 0
        whole = began + (WHOLE_SECONDS if on_progress is not None else deadline * _UNHEARD)
        self._write(json.dumps({"verb": verb, **arguments}))
        while True:
            message = self._next(verb, deadline, min(time.monotonic() + deadline, whole))
            if isinstance(error := message.get("error"), dict):
                code, said = str(error.get("code", "")), str(error.get("sentence", ""))
                # What a script does not expect it cannot put into a sentence that names the host.
                said = f"On {name}, {said}" if code == "os" else said
                raise ScriptRefused(code, said, io_fault.parse(error.get("io")), name)
            if "ok" in message:
                return self._held(verb, partial(shaped, shape, message["ok"]))
            events += 1
            if events > _EVENTS_AT_ONCE + _EVENTS_A_SECOND * (time.monotonic() - began):
                raise self._flooded(f"more events than labpanel's program sends ({verb})")
            if time.monotonic() > whole:
                end(self._process)
                raise TimedOut(f"{name} did not finish `{verb}`.")
            if on_progress is not None:
                self._held(verb, partial(on_progress, message))

    def _held(self, verb: str, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except Odd as odd:
            name = self.machine.endpoint.name
            sentence = f"{name} gave an answer that makes no sense ({verb}): {odd}."
            raise Refused(sentence) from odd

    def _next(self, verb: str, deadline: float, until: float) -> dict[str, Any]:
        name = self.machine.endpoint.name
        try:
            line = self._lines.next(until)
        except Late:
            raise TimedOut(f"{name} said nothing for {deadline:.0f} s ({verb}).") from None
        except Flooded as flooded:
            raise self._flooded(str(flooded)) from flooded
        if line is None:
            raise self._ended()
        try:
            message = safe_json.parse(
                line, f"What {name} said", most_bytes=MOST_LINE, most_values=_MOST_VALUES
            )
        except safe_json.UnsafeJson:
            end(self._process)
            raise
        if not isinstance(message, dict):
            raise self._flooded(f"a message that makes no sense ({verb})")
        return message

    def _flooded(self, what: str) -> AdapterError:
        end(self._process)
        return Excessive(f"{self.machine.endpoint.name} sent {what}: the connection was ended.")

    def _write(self, line: str) -> None:
        with self._writing, contextlib.suppress(OSError):  # a broken pipe shows as an ended script
            assert self._process.stdin is not None
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()

    def _read_errors(self) -> None:
        """Keep the end of it. What never ends is ended."""
        assert self._process.stderr is not None
        read = 0
        while chunk := os.read(self._process.stderr.fileno(), 1 << 16):
            self._stderr = self._stderr[-_ERRORS_KEPT:] + chunk
            read += len(chunk)
            if read > _MOST_ERRORS:
                end(self._process)
                return

    def _ping(self) -> None:
        while not self._closing.wait(PING_SECONDS):
            self._write('{"verb": "ping"}')

    def _ended(self) -> AdapterError:
        endpoint = self.machine.endpoint
        self._errors.join(timeout=2)
        text = bytes(self._stderr).decode("utf-8", "replace").strip()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=2)
        if "No module named 'nbd'" in text:
            return Missing(
                f"python3-libnbd is missing on {endpoint.name}: apt install python3-libnbd.", text
            )
        if broke := _exception(text):
            return AdapterError(f"labpanel's program on {endpoint.name} failed: {broke}.", text)
        if self._process.returncode == SSH_FAILED and not endpoint.is_local:
            return explain(endpoint, text)
        return Unreachable(f"The connection to {endpoint.name} was lost.", text)


def _exception(text: str) -> str:
    """The exception that ended a script, as its traceback names it; empty if none did. What ssh
    says then is not why."""
    _, found, rest = text.rpartition("Traceback (most recent call last)")
    lines = (line for line in rest.splitlines()[1:] if line and not line.startswith(" "))
    return next(lines, "").rstrip(".") if found else ""


class Front:
    """A script's verbs as typed methods: what the fronts of all scripts share. One machine for one
    piece of work, from `with` to its end; `program` ("store.keeper") is what answers there."""

    program: ClassVar[str]

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self._session = ProgramSession(machine, self.program)

    def __enter__(self) -> Self:
        self._session.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()


def run_bundle(
    machine: Machine, program: str, arguments: Sequence[str], *, deadline: float
) -> Output:
    """Run a program of labpanel/onhost once, with `arguments`, to its end. Raises an
    AdapterError."""
    words = [PYTHON, "-I", "-B", "-c", _BOOT, *arguments]
    stdin = json.dumps(["", sources_of(program)]).encode() + b"\n"  # Machine marks the output
    return machine.run(words, deadline=deadline, stdin=stdin)
