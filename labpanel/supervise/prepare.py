"""What must be true before the first process starts: tables and static files are current."""

import subprocess
import sys
from pathlib import Path

STEPS = (
    # It says in full what it refuses, and copies the database before its tables change.
    ("", ("prepare",)),
    ("The pages' files cannot be put in place", ("collectstatic", "--noinput", "-v", "0")),
)
DEADLINE = 600.0


class NotReady(Exception):
    """A step failed; the text is for the user."""


def manage(repository: Path, *words: str, deadline: float = DEADLINE) -> tuple[int, str]:
    """Run `manage.py WORDS`; returns its status and everything that it printed."""
    try:
        done = subprocess.run(
            [sys.executable, str(repository / "manage.py"), *words],
            cwd=repository,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=deadline,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return 124, f"`manage.py {words[0]}` gave no answer within {deadline:.0f} s."
    return done.returncode, done.stdout.strip()


def prepare(repository: Path) -> None:
    """Raises NotReady with the step's own words."""
    for sentence, words in STEPS:
        status, output = manage(repository, *words)
        if status:
            raise NotReady(f"{sentence}:\n{output}" if sentence else output)
