"""One log for all processes, each line with its process's name, kept small."""

import logging
import logging.handlers
import os
import sys
from pathlib import Path

from labpanel.lib.log_line import LogLine

LARGEST = 5_000_000  # bytes of one file
KEPT = 4  # older files
FORMAT, DATE_FORMAT = "%(asctime)s %(name)-5s | %(message)s", "%Y-%m-%d %H:%M:%S%z"


def to_file(folder: Path, *, echo: bool) -> Path:
    """Log into FOLDER/panel.log, with `echo` to standard output as well; returns the file."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / "panel.log"
    handlers: list[logging.Handler] = [
        logging.handlers.RotatingFileHandler(
            path, maxBytes=LARGEST, backupCount=KEPT, encoding="utf-8"
        )
    ]
    if echo:
        handlers.append(logging.StreamHandler(sys.stdout))
    for handler in handlers:
        handler.setFormatter(Short(FORMAT, DATE_FORMAT))
    logging.basicConfig(level=logging.INFO, handlers=handlers)
    # Broken pipes to a closed terminal must not stop the panel.
    logging.raiseExceptions = False
    return path


def add(folder: Path, text: str) -> None:
    """One line from a process that is not the supervisor's: what the command line changed.

    Appended in one write, which a rotation at the same moment leaves whole. Without a log folder
    no panel ever ran here, and there is no log to write to.
    """
    record = logging.LogRecord("cli", logging.INFO, "", 0, text, (), None)
    line = Short(FORMAT, DATE_FORMAT).format(record) + "\n"
    try:
        handle = os.open(folder / "panel.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    except FileNotFoundError:
        return
    with os.fdopen(handle, "ab") as file:
        file.write(line.encode("utf-8", "backslashreplace"))


class Short(LogLine):
    """`panel.web` is shown as `web`."""

    def format(self, record: logging.LogRecord) -> str:
        record.name = record.name.removeprefix("panel.")
        return super().format(record)
