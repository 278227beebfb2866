"""Running commands on a machine: this one, or one behind SSH. Every call has a deadline.

A `Machine` is cheap to make; what is kept open is ssh's control master, by its socket's path.
"""

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from labpanel.adapters.errors import AdapterError, CommandFailed, TimedOut, Unreachable
from labpanel.adapters.ssh import CONNECT_SECONDS, PERSIST_SECONDS, Channel, explain
from labpanel.lib.shapes import Endpoint

# A command's own status never is 255 here: ssh keeps it for its own failures.
SSH_FAILED = 255
PYTHON = "/usr/bin/python3"


@dataclass(frozen=True, slots=True)
class Output:
    status: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        return self.stdout.decode("utf-8", "replace")


class Machine:
    """One machine to run commands on. Not a connection: safe to make anywhere, any time."""

    def __init__(self, endpoint: Endpoint, channel: str = "main") -> None:
        self.endpoint = endpoint
        self.channel = Channel(endpoint, channel)

    def argv(self, words: Sequence[str]) -> list[str]:
        """The local argument list that runs `words` there, with no shell in between but ssh's."""
        if self.endpoint.is_local:
            return list(words)
        self._ensure_master()
        return [*self.channel.command("-T"), "--", shlex.join(words)]

    def run(
        self,
        words: Sequence[str],
        *,
        deadline: float,
        stdin: bytes = b"",
        ok: Sequence[int] | None = (0,),
    ) -> Output:
        """Run to the end, or be killed after `deadline` seconds.

        `ok` lists the statuses that are fine; None takes any. Raises an AdapterError otherwise.
        """
        process = self.start(words)
        try:
            stdout, stderr = process.communicate(stdin, timeout=deadline)
        except subprocess.TimeoutExpired as late:
            end(process)
            raise TimedOut(
                f"{self.endpoint.name} did not finish `{words[0]}` within {deadline:.0f} s.",
                shlex.join(words)[:2000],
            ) from late
        output = Output(process.returncode, stdout, stderr)
        if output.status == SSH_FAILED and not self.endpoint.is_local:
            raise explain(self.endpoint, stderr.decode("utf-8", "replace"))
        if ok is not None and output.status not in ok:
            raise self._failed(words, output)
        return output

    def run_script(self, script: Path, arguments: Sequence[str] = (), *, deadline: float) -> Output:
        """Run a self-contained standard-library file with the machine's own Python.

        The file travels on standard input: nothing is installed, and it works while the
        machine's file systems are read-only.
        """
        words = [PYTHON, "-I", "-B", "-", *arguments]
        return self.run(words, deadline=deadline, stdin=script.read_bytes())

    def start(self, words: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start in a process group of its own; the caller keeps the deadline and ends it."""
        try:
            return subprocess.Popen(
                self.argv(words),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise AdapterError(f"The program {error.filename} is not installed here.") from error

    def forward_to(self, local: Path, remote: str) -> None:
        """Make the unix socket `remote` of the machine reachable as `local` here (ssh -L)."""
        self._control("forward", "-L", f"{local}:{remote}")

    def forward_from(self, remote: str, local: Path) -> None:
        """Make the unix socket `local` of this machine reachable as `remote` there (ssh -R)."""
        self._control("forward", "-R", f"{remote}:{local}")

    def cancel_forward_to(self, local: Path, remote: str) -> None:
        self._control("cancel", "-L", f"{local}:{remote}")
        local.unlink(missing_ok=True)

    def cancel_forward_from(self, remote: str, local: Path) -> None:
        self._control("cancel", "-R", f"{remote}:{local}")
        self.run(["rm", "-f", "--", remote], deadline=10)

    def close(self) -> None:
        """End this channel's control master, and with it its forwards."""
        if self.endpoint.is_local or not self.channel.control_path.exists():
            return
        subprocess.run(
            self.channel.command("-O", "exit"),
            capture_output=True,
            timeout=10,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        self.channel.control_path.unlink(missing_ok=True)

    def _control(self, verb: str, *words: str) -> None:
        self._ensure_master()
        done = subprocess.run(
            self.channel.command("-O", verb, *words),
            capture_output=True,
            timeout=15,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode != 0:
            detail = done.stderr.decode("utf-8", "replace")
            raise Unreachable(
                f"The tunnel to {self.endpoint.name} could not be made ({words[1]}).", detail
            )

    def _ensure_master(self) -> None:
        if self.endpoint.is_local or self.channel.control_path.exists():
            return
        # Standard output and error go nowhere: a master in the background that holds the
        # caller's pipe would keep it from ever seeing the end of file.
        done = subprocess.run(
            self.channel.command(
                "-M", "-N", "-f", "-o", f"ControlPersist={PERSIST_SECONDS}", "-E", str(self._log())
            ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=CONNECT_SECONDS * 3,
            check=False,
        )
        if done.returncode != 0 and not self.channel.control_path.exists():
            raise explain(self.endpoint, self._log().read_text("utf-8", "replace")[-2000:])

    def _log(self) -> Path:
        path = self.channel.control_path.with_suffix(".log")
        if not self.channel.control_path.exists():
            path.unlink(missing_ok=True)
        path.touch()
        return path

    def _failed(self, words: Sequence[str], output: Output) -> CommandFailed:
        text = (output.stderr or output.stdout).decode("utf-8", "replace").strip()
        last = text.splitlines()[-1] if text else f"status {output.status}"
        return CommandFailed(
            f"`{Path(words[0]).name}` failed on {self.endpoint.name}: {last}", output.status, text
        )


def end(process: subprocess.Popen[bytes], grace: float = 2) -> None:
    """End a process that `start` made, with its group; by id, never by name."""
    if process.poll() is not None:
        return
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
        except ProcessLookupError:
            break
        until = time.monotonic() + grace
        while process.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
        if process.poll() is not None:
            break
    process.wait(timeout=grace)
