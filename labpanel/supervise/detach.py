"""`up --detach`: a supervisor of its own session; this process waits for what it announces."""

import os
import subprocess
import sys
from pathlib import Path

from labpanel.lib.printable import printable, printable_lines

TAIL = 25  # lines of the log that a failed start shows


def start_detached(home: Path) -> int:
    """Returns 0 after printing the announcement, 1 after printing why there is none."""
    folder = home / "log"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    errors = folder / "start.log"
    with errors.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "labpanel.supervise", "up", "--announce"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            start_new_session=True,
        )
    assert process.stdout is not None
    said = process.stdout.read()  # ends when the supervisor has announced itself, or died
    if said:
        sys.stdout.write(said.decode("utf-8", "replace"))
        return 0
    status = process.wait()
    why = errors.read_text(encoding="utf-8", errors="replace").rstrip()
    print(printable_lines(why), file=sys.stderr)
    return status or 1


def close_standard_output() -> None:
    """Tells the waiting process that all is said."""
    sys.stdout.flush()
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)


def tail(path: Path) -> str:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return "\n".join(printable(line) for line in lines[-TAIL:])
