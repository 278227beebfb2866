"""`down`: ask the supervisor to stop, wait, and be sure."""

import os
import select
import signal
import sys

from labpanel.supervise.claim import Claim

PATIENCE = 30.0  # seconds; the slowest service has 8 before it is killed


def down(claim: Claim) -> int:
    """0 when no panel of this home runs any more."""
    holder = claim.holder()
    if holder is None:
        print("No panel is running.")
        return 0
    # A descriptor of the process, not its number: it can't hit another one (pidfd_open(2)).
    handle = os.pidfd_open(holder.pid)
    if not holder.lives():
        return 0
    signal.pidfd_send_signal(handle, signal.SIGTERM)
    if not select.select([handle], [], [], PATIENCE)[0]:
        print(f"The panel did not stop within {PATIENCE:.0f} s and is killed.", file=sys.stderr)
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        select.select([handle], [], [], PATIENCE)
    claim.clear()
    print("The panel is stopped.")
    return 0
