"""One log for all processes, each line with its process's name, kept small."""

import logging
import logging.handlers
import sys
from pathlib import Path

LARGEST = 5_000_000  # bytes of one file
KEPT = 4  # older files


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
        handler.setFormatter(Short("%(asctime)s %(name)-5s | %(message)s", "%Y-%m-%d %H:%M:%S"))
    logging.basicConfig(level=logging.INFO, handlers=handlers)
    # Broken pipes to a closed terminal must not stop the panel.
    logging.raiseExceptions = False
    return path


class Short(logging.Formatter):
    """`panel.web` is shown as `web`."""

    def format(self, record: logging.LogRecord) -> str:
        record.name = record.name.removeprefix("panel.")
        return super().format(record)
