"""Log records that quote hosts and strangers: none can pass for another record."""

import logging
import sys

import pytest

from labpanel.lib.log_line import LogLine

FORGED = "gone\n2026-11-27 08:00:00 web   | 2026-11-27 ERROR root: all is well\x1b[2J\u2028x"


@pytest.fixture
def formatter() -> LogLine:
    return LogLine(fmt="{asctime} {levelname} {name}: {message}", style="{")


def record(message: str, *args: object, error: bool = False) -> logging.LogRecord:
    raised = sys.exc_info() if error else None
    return logging.LogRecord("hosts", logging.INFO, __file__, 1, message, args, raised)


def test_a_message_with_lines_is_one_line(formatter: LogLine) -> None:
    line = formatter.format(record("no samples of %s", FORGED))
    assert line.endswith("INFO hosts: no samples of " + r"gone\n2026-11-27 08:00:00 web   | "
        r"2026-11-27 ERROR root: all is well\x1b[2J\u2028x")  # fmt: skip
    assert "\n" not in line


def test_a_flood_is_cut(formatter: LogLine) -> None:
    line = formatter.format(record("%s", "x" * 1_000_000))
    assert len(line) <= 4000
    assert "characters)" in line


def test_the_lines_of_a_traceback_say_that_they_are_some(formatter: LogLine) -> None:
    try:
        raise ValueError(FORGED)
    except ValueError:
        text = formatter.format(record("job 7 broke", error=True))
    first, *rest = text.split("\n")
    assert first.endswith("job 7 broke")
    assert rest
    assert all(line.startswith("  | ") for line in rest)
    assert text.replace("\n", "").isprintable()


def test_an_endless_traceback_keeps_its_end(formatter: LogLine) -> None:
    try:
        raise ValueError("\n".join(map(str, range(10_000))))
    except ValueError:
        text = formatter.format(record("broke", error=True))
    assert text.endswith("  | 9999")
    assert len(text.split("\n")) == 122


def test_what_another_formatter_left_in_the_record_is_not_taken(formatter: LogLine) -> None:
    try:
        raise ValueError(FORGED)
    except ValueError:
        logged = record("broke", error=True)
    logging.Formatter().format(logged)
    assert logged.exc_text
    assert "all is well\x1b" not in formatter.format(logged)
    assert "\n2026" not in formatter.format(logged)
