"""Running commands on a machine: this one, or one behind SSH. Every call has a deadline.

A `Machine` is cheap to make; what is kept open is ssh's control master, by its socket's path. The
master outlives the process that opened it and is shared by all of the panel's processes.
"""

import contextlib
import os
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from labpanel.adapters.errors import AdapterError, CommandFailed, TimedOut, Unreachable
from labpanel.adapters.file_lock import locked
from labpanel.adapters.ssh import CONNECT_SECONDS, PERSIST_SECONDS, Channel, explain
from labpanel.lib.shapes import Endpoint

# A command's own status never is 255 here: ssh keeps it for its own failures.
SSH_FAILED = 255
PYTHON = "/usr/bin/python3"
# Connecting, the banner and the exchange of keys; ConnectTimeout covers the first two.
MASTER_SECONDS = CONNECT_SECONDS * 2
# control path → when opening its master failed last, and how: threads that waited for the same
# attempt share its outcome instead of each trying for seconds in turn.
_failed_at: dict[Path, tuple[float, AdapterError]] = {}


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
        self.ensure_master()
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
        until = time.monotonic() + deadline
        process = self.start(words)
        try:
            left = max(0.1, until - time.monotonic())
            stdout, stderr = process.communicate(stdin, timeout=left)
        except subprocess.TimeoutExpired as late:
            end(process)
            self._mistrust_master()
            raise TimedOut(
                f"{self.endpoint.name} gave no answer within {deadline:.0f} s "
                f"({Path(words[0]).name}): it hangs, or the network is cut.",
                shlex.join(words)[:2000],
            ) from late
        finally:
            close_pipes(process)
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
        self._ask_master("exit")
        self.channel.control_path.unlink(missing_ok=True)

    def ensure_master(self) -> None:
        """Open the control master unless one listens. Raises an AdapterError."""
        path = self.channel.control_path
        if self.endpoint.is_local or listens(path):
            return
        asked_at = time.monotonic()
        with locked(beside(path, ".lock"), MASTER_SECONDS, f"SSH to {self.endpoint.name}"):
            if listens(path):
                return
            failed_at, error = _failed_at.get(path, (0.0, None))
            if error is not None and failed_at > asked_at:
                raise error
            try:
                self._open_master()
            except AdapterError as failure:
                _failed_at[path] = (time.monotonic(), failure)
                raise

    def _open_master(self) -> None:
        path = self.channel.control_path
        log = beside(path, ".log")
        for stale in (path, log):
            stale.unlink(missing_ok=True)
        # Standard output and error go nowhere: a master in the background that holds the
        # caller's pipe would keep it from ever seeing the end of file.
        try:
            done = subprocess.run(
                self.channel.command(
                    "-M", "-N", "-f", "-o", f"ControlPersist={PERSIST_SECONDS}", "-E", str(log)
                ),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=MASTER_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as late:
            raise TimedOut(
                f"{self.endpoint.name} took the connection but did not answer over SSH within "
                f"{MASTER_SECONDS} s: it hangs."
            ) from late
        if done.returncode != 0:
            said = log.read_text("utf-8", "replace")[-2000:] if log.exists() else ""
            raise explain(self.endpoint, said)

    def _control(self, verb: str, *words: str) -> None:
        self.ensure_master()
        detail = self._ask_master(verb, *words)
        if detail is not None:
            raise Unreachable(
                f"The tunnel to {self.endpoint.name} could not be made ({words[1]}).", detail
            )

    def _ask_master(self, verb: str, *words: str, seconds: float = 15) -> str | None:
        """None when the master did it, else what it said."""
        try:
            done = subprocess.run(
                self.channel.command("-O", verb, *words),
                capture_output=True,
                timeout=seconds,
                check=False,
                stdin=subprocess.DEVNULL,
            )
        except subprocess.TimeoutExpired:
            return f"no answer from ssh's control master within {seconds:.0f} s"
        return None if done.returncode == 0 else done.stderr.decode("utf-8", "replace")

    def _mistrust_master(self) -> None:
        """After a silence: a master that hangs itself, not only the machine, is left behind."""
        if not self.endpoint.is_local and self._ask_master("check", seconds=2) is not None:
            self.channel.control_path.unlink(missing_ok=True)

    def _failed(self, words: Sequence[str], output: Output) -> CommandFailed:
        text = (output.stderr or output.stdout).decode("utf-8", "replace").strip()
        last = text.splitlines()[-1] if text else f"status {output.status}"
        return CommandFailed(
            f"`{Path(words[0]).name}` failed on {self.endpoint.name}: {last}", output.status, text
        )


def beside(control_path: Path, suffix: str) -> Path:
    """A file that goes with a control socket, under a name that is not taken for one."""
    return control_path.with_name(f"s{control_path.name[1:]}{suffix}")


def listens(path: Path) -> bool:
    """Whether a process takes connections at a unix socket; a left-over file does not."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def close_pipes(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout, process.stderr):
        with contextlib.suppress(OSError):  # what was still to be written is of no use any more
            if pipe is not None:
                pipe.close()


def end(process: subprocess.Popen[bytes], grace: float = 2) -> None:
    """End a process that `start` made, with its group; by id, never by name.

    The leader is reaped last: until then its group's id cannot be anybody else's.
    """
    if process.poll() is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        until = time.monotonic() + grace
        while not _has_ended(process.pid) and time.monotonic() < until:
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)  # whoever of the group is left
    with contextlib.suppress(subprocess.TimeoutExpired):  # it dies when the kernel lets it
        process.wait(timeout=grace)


def _has_ended(pid: int) -> bool:
    """Whether a child has ended, without reaping it (waitid(2), WNOWAIT)."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None
    except ChildProcessError:
        return True
