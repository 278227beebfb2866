"""Waiting for a job of the ledger: progress as it comes, the job's own sentence at the end.

Progress goes to standard error, so that standard output holds the result alone.
"""

import argparse
import sys
import time
from collections.abc import Callable
from typing import Any

from labpanel.jobs.models import Job, JobLine
from labpanel.jobs.states import State
from labpanel.lib.printable import printable
from labpanel.verbs.output import complain, print_json, say, width

POLL_SECONDS = 0.4
UNCLAIMED_SECONDS = 8
INTERRUPTED = 130  # 128 + SIGINT, as a shell reports it
_BAR_CELLS = 24


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`--no-wait` and `--json`, for every verb that opens a job."""
    parser.add_argument("--no-wait", action="store_true", help="print the job's number and leave")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def follow(
    job: Job, options: argparse.Namespace, result: Callable[[Job], Any] | None = None
) -> int:
    """Wait for `job` unless `--no-wait`; 0 when it is done, 1 with its sentence otherwise.

    `result` gives what `--json` prints of a job that is done (its stored result by default).
    """
    if options.no_wait:
        print_json({"job": job.pk}) if options.json else say(f"Job {job.pk}: {job.title}.")
        return 0
    try:
        ended = wait(job)
    except KeyboardInterrupt:
        complain(
            f"\rThe job goes on. `./panel job show {job.pk}` shows it, "
            f"`./panel job cancel {job.pk}` stops it."
        )
        return INTERRUPTED
    if ended.state != State.DONE:
        complain(ended.sentence)
        return 1
    if options.json:
        print_json(result(ended) if result else ended.result)
    else:
        say(ended.sentence)
    return 0


def wait(job: Job) -> Job:
    """Wait until `job` has ended, showing how it goes; the job as it ended."""
    display = _Terminal() if sys.stderr.isatty() else _Plain()
    began, warned = time.monotonic(), False
    while True:
        job.refresh_from_db()
        display.lines(job)
        if job.is_final:
            display.clear()
            return job
        display.progress(job)
        if job.state == State.WAITING and not warned:
            warned = time.monotonic() - began > UNCLAIMED_SECONDS
            if warned:
                display.note("No worker has taken the job yet. Does the panel run (./panel up)?")
        time.sleep(POLL_SECONDS)


class _Plain:
    """Plain lines, for logs and pipes: the job's lines as they come."""

    def __init__(self) -> None:
        self._last = 0

    def lines(self, job: Job) -> None:
        for line in JobLine.objects.filter(job=job, pk__gt=self._last).order_by("pk"):
            self._last = line.pk
            if not (job.is_final and line.text == job.sentence):  # said once, at the end
                self.note(line.text)

    def note(self, text: str) -> None:
        complain(text)

    def progress(self, job: Job) -> None:
        """A log has no use for it."""

    def clear(self) -> None:
        """Nothing to take back."""


class _Terminal(_Plain):
    """The same lines with one line of progress kept below them."""

    def note(self, text: str) -> None:
        self.clear()
        super().note(text)

    def progress(self, job: Job) -> None:
        full = job.progress * _BAR_CELLS // 100
        bar = "█" * full + "░" * (_BAR_CELLS - full)
        words = [bar, f"{job.progress:3d} %", job.phase or job.get_state_display().lower()]
        if job.bytes_per_second:
            words.append(f"{job.bytes_per_second / 2**20:.0f} MiB/s")
        self._write(printable("  ".join(words)))

    def clear(self) -> None:
        self._write("")

    def _write(self, text: str) -> None:
        while width(text) > 78:
            text = text[:-1]
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()
