"""How much room the panel's own state has. Asked on every page: looked at once in some seconds."""

import os
import time

from django.conf import settings

from labpanel.lib.room import PanelRoom

SECONDS = 5.0
_known: tuple[float, PanelRoom] | None = None


def room() -> PanelRoom | None:
    """None where the file system cannot be asked."""
    global _known
    now = time.monotonic()
    if _known is not None and now - _known[0] < SECONDS:
        return _known[1]
    try:
        status = os.statvfs(settings.HOME_DIR)
    except OSError:
        return None
    # What is set aside for root is room for a panel that runs as root.
    blocks = status.f_bfree if os.geteuid() == 0 else status.f_bavail
    found = PanelRoom(blocks * status.f_frsize, status.f_blocks * status.f_frsize)
    _known = (now, found)
    return found
