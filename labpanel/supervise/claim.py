"""One panel per LABPANEL_HOME: a lock held for life, and beside it who holds it."""

import fcntl
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Holder:
    """The running supervisor: its process id, start in clock ticks since boot, and address."""

    pid: int
    started: int
    url: str

    def lives(self) -> bool:
        """False too when the number went to another process since."""
        return start_of(self.pid) == self.started


class Claim:
    """The lock file is never removed: removing it while another waits would allow two holders."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.lock = home / "panel.lock"
        self.record = home / "panel.json"
        self._handle: int | None = None

    def take(self) -> bool:
        """True when this process now holds the home, until it ends."""
        handle = os.open(self.lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        self._handle = handle
        return True

    def release(self) -> None:
        """Let another process take the home."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def write(self, url: str) -> None:
        pid = os.getpid()
        fresh = self.record.with_suffix(".new")
        fresh.write_text(json.dumps(asdict(Holder(pid, start_of(pid), url))), encoding="utf-8")
        fresh.replace(self.record)

    def clear(self) -> None:
        self.record.unlink(missing_ok=True)

    def holder(self) -> Holder | None:
        """Who runs the panel of this home, if anyone does."""
        try:
            holder = Holder(**json.loads(self.record.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None
        return holder if holder.lives() else None


def start_of(pid: int) -> int:
    """Field 22 of /proc/PID/stat (proc(5)): start in clock ticks; -1 when it does not run.

    A zombie does not run, it only waits for its parent to take its status.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return -1
    # The name in field 2 may hold spaces and brackets: count from behind it.
    fields = text.rpartition(")")[2].split()
    return -1 if fields[0] == "Z" else int(fields[19])
