"""One process: started, its lines logged, started again with growing pauses, ended."""

import asyncio
import contextlib
import logging
import os
import signal
import time

from labpanel.supervise.services import Service

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
# A process that ran this long (seconds) was well: its next start is not delayed.
WELL_AFTER = 60.0


class Child:
    def __init__(self, service: Service) -> None:
        self.service = service
        self.log = logging.getLogger(f"panel.{service.name}")
        self.process: asyncio.subprocess.Process | None = None
        self.began: float | None = None  # by CLOCK_MONOTONIC; None while it does not run
        self._pause = FIRST_PAUSE

    async def keep(self) -> None:
        """Run until cancelled; whatever ends is started again."""
        while True:
            began = time.monotonic()
            try:
                status = await self._run()
            finally:
                self.began = None
            if time.monotonic() - began > WELL_AFTER:
                self._pause = FIRST_PAUSE
            self.log.error("ended with status %s; again in %.1f s", status, self._pause)
            await asyncio.sleep(self._pause)
            self._pause = min(self._pause * 2, LONGEST_PAUSE)

    async def _run(self) -> int:
        # setpriv ties the process to this one: if the supervisor is killed, so is the child. The
        # session of its own keeps Ctrl-C in a terminal from reaching it past the supervisor.
        self.process = await asyncio.create_subprocess_exec(
            *("setpriv", "--pdeathsig", "KILL", "--", *self.service.argv),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, **self.service.env},
            start_new_session=True,
            limit=1 << 20,
        )
        self.began = time.monotonic()
        copy = asyncio.ensure_future(self._copy_lines(self.process))
        status = await self.process.wait()
        # Whatever it left behind may hold the pipe open: the last lines, but no longer.
        await asyncio.wait([copy], timeout=1.0)
        copy.cancel()
        return status

    async def _copy_lines(self, process: asyncio.subprocess.Process) -> None:
        if process.stdout is None:
            return
        while True:
            try:
                line = await process.stdout.readline()
            except ValueError:
                self.log.warning("(a line of more than 1 MiB was dropped)")
                continue
            if not line:
                return
            self.log.info("%s", line.decode("utf-8", "replace").rstrip())

    def kill(self, why: str) -> None:
        """At once, what it started along with it: TERM would never reach one that is stopped."""
        process = self.process
        if process is None or process.returncode is not None:
            return
        self.log.error("%s and is killed", why)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    async def stop(self) -> None:
        """TERM, then KILL after the service's grace. The task of `keep` is cancelled before."""
        process = self.process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        drain = asyncio.ensure_future(self._copy_lines(process))
        try:
            await asyncio.wait_for(process.wait(), self.service.grace)
        except TimeoutError:
            self.log.warning("did not end within %.0f s and is killed", self.service.grace)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        finally:
            drain.cancel()
