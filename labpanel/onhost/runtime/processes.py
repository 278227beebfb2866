"""Processes of this machine, told from later ones with the same number. Standard library only."""

from pathlib import Path


def started_at(pid: int) -> str:
    """The start of a process that lives, in clock ticks since boot (proc(5), field 22); "" if it
    has ended."""
    try:
        status = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return ""
    # The name in brackets may hold blanks and brackets.
    fields = status.rpartition(b")")[2].decode("ascii").split()
    return "" if fields[0] in "ZX" else fields[19]
