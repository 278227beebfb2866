"""Run the machine's tools, always with a deadline, and one error type."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

DEADLINE = 60.0
"""Seconds a tool may take unless its caller knows better."""


class LabError(Exception):
    """The lab can't do what was asked; the text is one sentence for the user."""


def run(
    argv: Sequence[str],
    *,
    timeout: float = DEADLINE,
    check: bool = True,
    text_in: str | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run ``argv`` and return its result with both outputs as text.

    Raises LabError when the tool is missing, outlives ``timeout`` (seconds) or,
    with ``check``, exits with anything but 0.
    """
    shown = " ".join(argv[:6])
    try:
        done = subprocess.run(
            list(argv),
            input=text_in,
            stdin=subprocess.DEVNULL if text_in is None else None,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError as error:
        raise LabError(f"{argv[0]} is not installed; see `python3 -m lab packages`.") from error
    except subprocess.TimeoutExpired as error:
        raise LabError(f"`{shown}` gave no answer within {timeout:g} s.") from error
    if check and done.returncode != 0:
        reason = (done.stderr or done.stdout).strip() or f"exit status {done.returncode}"
        raise LabError(f"`{shown}` failed: {reason}")
    return done


def succeeds(argv: Sequence[str], *, timeout: float = DEADLINE) -> bool:
    """Tell whether ``argv`` exits with 0 within ``timeout`` seconds."""
    return run(argv, timeout=timeout, check=False).returncode == 0
