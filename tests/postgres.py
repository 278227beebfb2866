"""A PostgreSQL server for one command, on a unix socket of its own, gone afterwards.

`python -m tests.postgres COMMAND…` runs the command with DATABASE_URL set to it. The programs are
Debian's (/usr/lib/postgresql/N/bin); no cluster of this machine is used or seen.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

_START_SECONDS = 60
# Nothing of it outlives its command, so that nothing needs to reach a disk (postgresql.org, 19.5).
_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "max_connections": "60",
    "shared_buffers": "64MB",
}


def programs() -> Path | None:
    """The folder of the newest server's programs, if one is installed."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return max(found, key=lambda path: int(path.parent.name), default=None)


@contextlib.contextmanager
def server() -> Iterator[str]:
    """A running server; yields its DATABASE_URL. Raises RuntimeError where none can be started."""
    found = programs()
    if found is None:
        raise RuntimeError("No PostgreSQL server is installed: apt install postgresql.")
    home = Path(tempfile.mkdtemp(prefix="labpanel-pg-"))
    try:
        # PostgreSQL refuses to run as root (initdb(1)); Debian's package makes this account.
        user = "postgres" if os.geteuid() == 0 else None
        if user:
            shutil.chown(home, user)
        data = home / "data"
        words = ["-D", str(data), "-A", "trust", "-U", "labpanel", "--no-sync", "-E", "UTF8"]
        _run([str(found / "initdb"), *words, "--locale=C.UTF-8"], user, home)
        process = _started(found, data, home, user)
        try:
            yield f"postgres://labpanel@{quote(str(home), safe='')}/postgres"
        finally:
            process.send_signal(signal.SIGQUIT)  # "immediate shutdown": nothing of it is kept
            process.wait(timeout=_START_SECONDS)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _run(words: list[str], user: str | None, home: Path) -> None:
    done = subprocess.run(
        words, user=user, cwd=home, capture_output=True, text=True, timeout=120, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{words[0]} failed: {done.stderr.strip()}")


def _started(found: Path, data: Path, home: Path, user: str | None) -> subprocess.Popen[bytes]:
    settings = [word for name, value in _SETTINGS.items() for word in ("-c", f"{name}={value}")]
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(found / "postgres"), "-D", str(data), "-k", str(home), *settings],
            user=user,
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        ready = [str(found / "pg_isready"), "-q", "-h", str(home), "-U", "labpanel"]
        for _ in range(_START_SECONDS * 5):
            if process.poll() is not None:
                raise RuntimeError(f"PostgreSQL ended: {(home / 'log').read_text()}")
            if subprocess.run(ready, timeout=20, check=False).returncode == 0:
                return process
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.2)
        raise RuntimeError(f"PostgreSQL did not start: {(home / 'log').read_text()}")
    except BaseException:
        process.kill()
        process.wait()
        raise


def main() -> int:
    # Ended from outside, the server is ended as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with server() as url:
        return subprocess.run(
            sys.argv[1:], env={**os.environ, "DATABASE_URL": url}, check=False
        ).returncode


if __name__ == "__main__":
    sys.exit(main())
