"""Records that strangers can cause at will, few enough that they wash nothing else away.

The log keeps 25 MB. Without this, a night of refused requests would be all that it holds.
"""

import logging
import threading
import time

AT_ONCE = 30  # records
EVERY_SECONDS = 6.0  # in which one more may follow
_OF_STRANGERS = ("django.request", "django.security", "uvicorn", "labpanel.door")


class Seldom(logging.Filter):
    """Of a handler. What is dropped is counted, and told with the next record that passes.

    Errors always pass: the panel's own faults are no stranger's doing.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._left = float(AT_ONCE)
        self._at = time.monotonic()
        self._dropped = 0

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno >= logging.ERROR or not record.name.startswith(_OF_STRANGERS):
            return True
        with self._lock:
            now = time.monotonic()
            self._left = min(float(AT_ONCE), self._left + (now - self._at) / EVERY_SECONDS)
            self._at = now
            if self._left < 1:
                self._dropped += 1
                return False
            self._left -= 1
            dropped, self._dropped = self._dropped, 0
        if dropped:
            record.msg = f"{record.getMessage()} (and {dropped} like it were not written down)"
            record.args = ()
        return True
