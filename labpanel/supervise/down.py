"""`down`: ask the supervisor to stop, wait, and be sure."""

import os
import select
import signal
import sys
import time
from pathlib import Path

from labpanel.supervise import runtime
from labpanel.supervise.claim import Claim, Holder

PATIENCE = 30.0  # seconds; the slowest service has 8 before it is killed


def down(claim: Claim, sockets: Path) -> int:
    """0 when no panel of this home runs any more and nothing in `sockets` is left of it."""
    holder = claim.holder()
    if holder is not None:
        stop(holder)
    if not taken(claim):
        print("The panel is just starting; try again in a moment.", file=sys.stderr)
        return 1
    # A supervisor that was killed could not clean up.
    claim.clear()
    runtime.clear(sockets)
    print("The panel is stopped." if holder else "No panel is running.")
    return 0


def taken(claim: Claim) -> bool:
    """Try for a moment: `./panel` itself holds the lock for an instant when it looks."""
    for _ in range(20):
        if claim.take():
            return True
        time.sleep(0.05)
    return False


def stop(holder: Holder) -> None:
    """Ask, wait, and kill where asking does not help."""
    # A descriptor of the process, not its number: it can't hit another one (pidfd_open(2)).
    try:
        handle = os.pidfd_open(holder.pid)
    except ProcessLookupError:
        return
    if not holder.lives():
        return
    signal.pidfd_send_signal(handle, signal.SIGTERM)
    if not select.select([handle], [], [], PATIENCE)[0]:
        print(f"The panel did not stop within {PATIENCE:.0f} s and is killed.", file=sys.stderr)
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        select.select([handle], [], [], PATIENCE)
