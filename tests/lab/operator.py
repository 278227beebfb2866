"""`./panel`'s verbs without starting Python and Django for each of them.

One process of each panel has both in memory and forks for every command: the command still runs in
a process of its own, with the words, environment, output and status that `./panel` gives it.
tests/outside runs the verbs as a shell does.
"""

import contextlib
import json
import os
import random
import select
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from pathlib import Path
from typing import NoReturn

REPOSITORY = Path(__file__).resolve().parent.parent.parent
Done = subprocess.CompletedProcess[str]


class Operator:
    """Starts with the first command, and ends with this process at the latest. Commands of several
    threads wait for each other."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    def run(self, words: tuple[str, ...], timeout: float) -> Done:
        """Raises subprocess.TimeoutExpired, as subprocess.run does."""
        with self._lock, tempfile.TemporaryDirectory() as folder:
            out, err = Path(folder) / "out", Path(folder) / "err"
            process = self._started()
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps([words, str(out), str(err)]) + "\n")
            process.stdin.flush()
            if not select.select([process.stdout], [], [], timeout)[0]:
                self._end(process)
                raise subprocess.TimeoutExpired(["./panel", *words], timeout)
            status = int(process.stdout.readline())
            return subprocess.CompletedProcess(words, status, out.read_text(), err.read_text())

    def close(self) -> None:
        with self._lock:
            if self._process is not None:
                self._end(self._process)

    def _started(self) -> subprocess.Popen[str]:
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.lab.operator"],
                cwd=REPOSITORY,
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        return self._process

    def _end(self, process: subprocess.Popen[str]) -> None:
        """With the command that it runs."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=20)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        self._process = None


def serve() -> None:
    """A line of JSON for each command, `[words, file for its output, file for its errors]`; its
    status comes back."""
    os.umask(0o077)  # as manage.py does
    import django

    django.setup()
    from labpanel.verbs import catalog

    for name in catalog.places():
        catalog.commands(name)
    for line in sys.stdin:
        words, out, err = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _become(words, out, err)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        print(status, flush=True)  # noqa: T201 - the answer


def _become(words: list[str], out: str, err: str) -> NoReturn:
    """Run the command as manage.py does, and end."""
    from labpanel.cli.management.commands.panel import Command

    status = 1
    try:
        nothing = os.open(os.devnull, os.O_RDONLY)
        for file, number in ((nothing, 0), (_new(out), 1), (_new(err), 2)):
            os.dup2(file, number)
        sys.argv = ["manage.py", "panel", *words]
        random.seed()  # or each command would have the same numbers
        Command().run_from_argv(sys.argv)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(bool(end.code))
    except BaseException:  # noqa: BLE001 - told as Python tells it at the end of a program
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _new(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)


if __name__ == "__main__":
    serve()
