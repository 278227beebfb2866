"""Running commands on a machine: this one, or one behind SSH. Every call has a deadline.

A `Machine` is cheap to make; what is kept open is ssh's control master, by its socket's path. The
master outlives the process that opened it and is shared by all of the panel's processes.
"""

import contextlib
import os
import re
import secrets
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from labpanel.adapters.answers import bounded
from labpanel.adapters.errors import (
    AdapterError,
    CommandFailed,
    Excessive,
    ForwardingForbidden,
    Refused,
    TimedOut,
    Unreachable,
)
from labpanel.adapters.ssh import forwarding
from labpanel.adapters.ssh.file_lock import locked
from labpanel.adapters.ssh.openssh import CONNECT_SECONDS, PERSIST_SECONDS, Channel, explain
from labpanel.adapters.ssh.remote_words import command_line
from labpanel.lib.shapes import Endpoint

# A command's own status never is 255 here: ssh keeps it for its own failures.
SSH_FAILED = 255
PYTHON = "/usr/bin/python3"
# Connecting, the banner and the exchange of keys; ConnectTimeout covers the first two.
MASTER_SECONDS = CONNECT_SECONDS * 2
# What a socket's path on a machine may be made of, since ssh reads ":", "$" and "%" in it.
_SOCKET = re.compile(r"(?:/[A-Za-z0-9._+@=~-]+){1,16}")
_LOG_TAIL = 4096
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
        """The local argument list that runs `words` there, whatever login shell is in between."""
        if self.endpoint.is_local:
            return list(words)
        self.ensure_master()
        return [*self.channel.command("-T"), "--", command_line(words)]

    def run(
        self,
        words: Sequence[str],
        *,
        deadline: float,
        stdin: bytes = b"",
        ok: Sequence[int] | None = (0,),
        most: int = bounded.MOST_OUTPUT,
    ) -> Output:
        """Run to the end, or be killed after `deadline` seconds or `most` bytes of output.

        `ok` lists the statuses that are fine; None takes any. Raises an AdapterError otherwise.
        What a login file of the machine prints before and after is not a part of the output.
        """
        until = time.monotonic() + deadline
        mark = secrets.token_hex(16)
        process = self.start(words if self.endpoint.is_local else bounded.framed(words, mark))
        try:
            said = bounded.communicate(process, stdin, until=until, most=most)
        except bounded.TooMuch as excess:
            end(process)
            raise Excessive(
                f"{self.endpoint.name} answered `{Path(words[0]).name}` with more than "
                f"{excess.most >> 20} MiB: the answer is not used."
            ) from excess
        except bounded.Late as late:
            end(process)
            self._drop_dead_master()
            raise TimedOut(
                f"{self.endpoint.name} gave no answer within {deadline:.0f} s "
                f"({Path(words[0]).name}): it hangs, or the network is cut.",
                shlex.join(words)[:2000],
            ) from late
        finally:
            close_pipes(process)
        output = Output(process.returncode, said.stdout, said.stderr)
        if not self.endpoint.is_local:
            output = self._unframed(output, mark, words)
        if ok is not None and output.status not in ok:
            raise self._failed(words, output)
        return output

    def start(self, words: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start in a process group of its own; the caller keeps the deadline and ends it."""
        try:
            return subprocess.Popen(
                self.argv(words),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                env=os.environ | {"LC_ALL": "C"},  # as remote_words has it for other machines
                # As on any other host: QEMU has to get at the images that are made for it.
                umask=0o022 if self.endpoint.is_local else -1,
            )
        except FileNotFoundError as error:
            raise AdapterError(f"The program {error.filename} is not installed here.") from error

    def _unframed(self, output: Output, mark: str, words: Sequence[str]) -> Output:
        """The command's own output. Raises an AdapterError where something else answered."""
        if output.status == SSH_FAILED:
            raise explain(self.endpoint, output.stderr.decode("utf-8", "replace"))
        inside = bounded.between(output.stdout, mark)
        if inside is None:
            said = next((line.strip() for line in output.text.splitlines() if line.strip()), "")
            quoted = f' ("{said[:120]}")' if said else ""
            raise Refused(
                f"{self.endpoint.name} did not run `{Path(words[0]).name}` to its end: a forced "
                "command, a login shell that runs no commands, or a login file that ends the "
                f"session answered instead{quoted}. Give that user a shell that runs commands, "
                "and let its login files go on to their end.",
                output.text[:2000],
            )
        errors = bounded.between(output.stderr, mark)
        return Output(output.status, inside, output.stderr if errors is None else errors)

    def forward_to(self, local: Path, remote: str) -> None:
        """Make the unix socket `remote` of the machine reachable as `local` here (ssh -L)."""
        self._must_be_socket(remote)
        self._must_forward()
        self._control("forward", "-L", f"{local}:{remote}")

    def forward_from(self, remote: str, local: Path) -> None:
        """Make the unix socket `local` of this machine reachable as `remote` there (ssh -R)."""
        self._must_be_socket(remote)
        self._must_forward()
        self._control("forward", "-R", f"{remote}:{local}")

    def _must_forward(self) -> None:
        """Raises ForwardingForbidden. Asked once of each master: sshd's settings are those of the
        time when it was opened, so one that may not forward makes room for another."""
        self.ensure_master()
        path = self.channel.control_path
        noted = beside(path, ".forwards")
        with contextlib.suppress(FileNotFoundError):
            if noted.stat().st_mtime_ns >= path.stat().st_mtime_ns:
                return
        try:
            forwarding.check(self, lambda verb, way: self._ask_master(verb, "-L", way))
        except ForwardingForbidden:
            self._ask_master("stop")
            raise
        noted.touch()

    def _must_be_socket(self, path: str) -> None:
        if not _SOCKET.fullmatch(path) or ".." in path.split("/"):
            raise Refused(f"{path[:107]!r} is not a path of a socket on {self.endpoint.name}.")

    def cancel_forward_to(self, local: Path, remote: str) -> None:
        self._control("cancel", "-L", f"{local}:{remote}")
        local.unlink(missing_ok=True)

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
        for stale in (path, log, beside(path, ".forwards")):
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
            raise explain(self.endpoint, _tail(log))

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

    def _drop_dead_master(self) -> None:
        """Abandon a control master that itself hangs, after its machine did not answer."""
        if not self.endpoint.is_local and self._ask_master("check", seconds=2) is not None:
            self.channel.control_path.unlink(missing_ok=True)

    def _failed(self, words: Sequence[str], output: Output) -> CommandFailed:
        text = (output.stderr or output.stdout).decode("utf-8", "replace").strip()
        last = text.splitlines()[-1] if text else f"status {output.status}"
        return CommandFailed(
            f"`{Path(words[0]).name}` failed on {self.endpoint.name}: {last}", output.status, text
        )


def _tail(log: Path) -> str:
    """The end of a log, which may be of any length."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _LOG_TAIL))
            return file.read(_LOG_TAIL).decode("utf-8", "replace")
    except FileNotFoundError:
        return ""


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
        os.killpg(process.pid, signal.SIGKILL)  # what is left of the group
    with contextlib.suppress(subprocess.TimeoutExpired):  # it dies when the kernel lets it
        process.wait(timeout=grace)


def _has_ended(pid: int) -> bool:
    """Whether a child has ended, without reaping it (waitid(2), WNOWAIT)."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None
    except ChildProcessError:
        return True
