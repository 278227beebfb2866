"""Wait for a VM's generations in a store while another job is at work on them."""

import time
from collections.abc import Callable

from labpanel.adapters.script_session import ScriptRefused
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
            work.line("Another job works on this VM’s copies in this store: it goes first.")
        work.check()
        time.sleep(AGAIN_SECONDS)
