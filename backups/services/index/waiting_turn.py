"""Wait for a VM's generations in a store while another job uses them."""

import time
from collections.abc import Callable

from labpanel.adapters.ssh.session import ScriptRefused
from labpanel.jobs.work import Work

AGAIN_SECONDS = 5
TRIES = 360  # half an hour: then the next verification comes back to it


def wait_turn(work: Work, lock: Callable[[], None]) -> None:
    """Call `lock` until it is not refused as busy. Raises ScriptRefused when it takes too long,
    Cancelled when waiting was."""
    for tried in range(TRIES):
        try:
            lock()
            return
        except ScriptRefused as refusal:
            if refusal.code != "busy" or tried == TRIES - 1:
                raise
        if not tried:
            work.line("Waiting for another job that uses this VM’s copies in this store.")
        work.check()
        time.sleep(AGAIN_SECONDS)
