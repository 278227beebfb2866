"""One end of a move in memory: a libvirt with at most one domain, and the files of its host.

`fails[verb]` is raised instead of an answer; `loses[verb]` is raised after the verb was done, as
when the answer is lost on the way.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from labpanel.adapters.errors import AdapterError, Refused

RUNNING, PAUSED, OFF = 1, 3, 5  # virDomainState
MIGRATED = 4  # VIR_DOMAIN_SHUTOFF_MIGRATED


@dataclass
class FakeEnd:
    """`domain` is None or virDomainState's number; `files` are paths with their mark."""

    name: str
    domain: int | None = None
    reason: int = 1
    job: bool = False
    files: dict[str, str] = field(default_factory=dict)
    fails: dict[str, AdapterError] = field(default_factory=dict)
    loses: dict[str, AdapterError] = field(default_factory=dict)
    did: list[str] = field(default_factory=list)
    autostart: bool = False

    @property
    def runs(self) -> bool:
        return self.domain == RUNNING

    def fail_all(self, error: AdapterError) -> None:
        for verb in ("state", "job_stats", "abort_move", "look", "aside", "remove", "unmark"):
            self.fails[verb] = error

    def call(self, verb: str, *, deadline: float, uuid: str = "", **arguments: Any) -> Any:
        self._note(verb)
        answer = getattr(self, f"_{verb}")(**arguments)
        if verb in self.loses:
            raise self.loses[verb]
        return answer

    def create(self, token: str, path: str, form: str, virtual_bytes: int) -> None:
        self._note("create")
        if path in self.files:
            raise Refused(f"{path} exists already; nothing was written over it.")
        self.files[path] = token

    def remove(self, token: str, paths: Sequence[str]) -> list[str]:
        self._note("remove")
        gone = [path for path in paths if self.files.get(path) == token]
        for path in gone:
            del self.files[path]
        return gone

    def unmark(self, token: str, paths: Sequence[str]) -> None:
        self._note("unmark")
        for path in paths:
            if self.files.get(path) == token:
                self.files[path] = ""

    def aside(self, paths: Sequence[str], suffix: str) -> list[str]:
        self._note("aside")
        for path in paths:
            if path in self.files:
                self.files[path + suffix] = self.files.pop(path)
        return [path + suffix for path in paths]

    def _note(self, verb: str) -> None:
        if verb in self.fails:
            raise self.fails[verb]
        self.did.append(verb)

    def _state(self) -> dict[str, Any]:
        known = self.domain is not None
        on = self.domain in {RUNNING, PAUSED}
        return {
            "known": known,
            "state": self.domain,
            "reason": self.reason,
            "id": 7 if on else -1,
        }

    def _move_facts(self) -> dict[str, Any]:
        disks = "".join(
            f"<disk type='file'><source file='{path}'/><target dev='vda'/></disk>"
            for path, mark in self.files.items()
            if mark
        )
        return {"xml": f"<domain><devices>{disks}</devices></domain>"}

    def _job_stats(self) -> dict[str, Any]:
        return {"type": 1, "data_total": 100, "data_remaining": 40} if self.job else {}

    def _abort_move(self) -> bool:
        was, self.job = self.job, False
        return was

    def _resume(self) -> None:
        if self.domain != PAUSED:
            raise Refused("domain is not paused")
        self.domain = RUNNING

    def _destroy(self) -> None:
        if self.domain not in {RUNNING, PAUSED}:
            raise Refused("domain is not running")
        self.domain = OFF

    def _undefine(self) -> None:
        if self.domain is None:
            raise Refused("no domain")
        if self.domain == OFF:
            self.domain = None

    def _define(self, xml: str) -> None:
        self.domain = OFF

    def _set_autostart(self, *, on: bool) -> None:
        self.autostart = on
