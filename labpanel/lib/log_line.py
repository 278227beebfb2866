"""One log record as text that cannot be taken for another record.

Hosts' and strangers' words are quoted in messages and in the text of exceptions. The message is
made printable, so it is one line; the lines of a traceback each begin with "  | ".
"""

import logging

from labpanel.lib.printable import printable

_LONGEST = 4000  # characters of one line
_MOST_LINES = 120  # of one traceback; its last lines say what went wrong


class LogLine(logging.Formatter):
    """For `LOGGING` and for the supervisor's file; takes logging.Formatter's arguments."""

    def format(self, record: logging.LogRecord) -> str:
        # Another formatter's text of the exception is kept in the record; it is not to be trusted.
        kept, record.exc_text = record.exc_text, None
        try:
            return super().format(record)
        finally:
            record.exc_text = kept

    def formatMessage(self, record: logging.LogRecord) -> str:
        return printable(super().formatMessage(record), _LONGEST)

    def formatException(self, ei: object) -> str:
        return _indented(super().formatException(ei))  # type: ignore[arg-type]

    def formatStack(self, stack_info: str) -> str:
        return _indented(stack_info)


def _indented(text: str) -> str:
    lines = [line for line in text.split("\n") if line]
    left_out = [f"({len(lines) - _MOST_LINES} lines)"] if len(lines) > _MOST_LINES else []
    kept = [*left_out, *lines[-_MOST_LINES:]]
    return "\n".join(f"  | {printable(line, _LONGEST)}" for line in kept)
