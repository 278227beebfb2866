"""One end of a move in memory: a libvirt with at most one domain, and the files of its host.

`fails[verb]` is raised instead of an answer; `loses[verb]` is raised after the verb was done, as
when the answer is lost on the way.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from labpanel.adapters.errors import AdapterError, Refused
from labpanel.adapters.libvirt.uses.definitions import Defined, Stored
from labpanel.adapters.libvirt.uses.hosts import HostOffer
from labpanel.adapters.libvirt.uses.jobs import Moves
from labpanel.adapters.libvirt.uses.moving import Extent, JobStats, MoveFacts
from labpanel.lib.vm_state import DomainState, reason_of, state_of

RUNNING, PAUSED, OFF = 1, 3, 5  # virDomainState
MIGRATED = 4  # VIR_DOMAIN_SHUTOFF_MIGRATED


@dataclass
class FakeEnd(Moves):
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

    def create(self, token: str, path: str, image_format: str, virtual_bytes: int) -> None:
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

    def _done(self, verb: str) -> None:
        """Its answer may be lost."""
        if verb in self.loses:
            raise self.loses[verb]

    def state(self, uuid: str) -> DomainState:
        self._note("state")
        self._done("state")
        if self.domain is None:
            return DomainState(known=False)
        state = state_of(self.domain)
        run = 7 if self.domain in {RUNNING, PAUSED} else None
        return DomainState(True, state, reason_of(state, self.reason), run)

    def move_facts(self, uuid: str) -> MoveFacts:
        self._note("move_facts")
        disks = "".join(
            f"<disk type='file'><source file='{path}'/><target dev='vda'/></disk>"
            for path, mark in self.files.items()
            if mark
        )
        self._done("move_facts")
        return facts(xml=f"<domain><devices>{disks}</devices></domain>")

    def virtual_sizes(self, uuid: str, targets: Sequence[str]) -> dict[str, Extent]:
        raise _unknown("virtual_sizes")

    def job_stats(self, uuid: str) -> JobStats | None:
        self._note("job_stats")
        self._done("job_stats")
        return JobStats(data_total=100, data_remaining=40) if self.job else None

    def abort_move(self, uuid: str) -> bool:
        self._note("abort_move")
        was, self.job = self.job, False
        self._done("abort_move")
        return was

    def start(self, uuid: str) -> None:
        raise _unknown("start")

    def resume(self, uuid: str) -> None:
        self._note("resume")
        if self.domain != PAUSED:
            raise Refused("domain is not paused")
        self.domain = RUNNING
        self._done("resume")

    def shutdown(self, uuid: str) -> None:
        raise _unknown("shutdown")

    def reboot(self, uuid: str) -> None:
        raise _unknown("reboot")

    def reset(self, uuid: str) -> None:
        raise _unknown("reset")

    def destroy(self, uuid: str) -> None:
        self._note("destroy")
        if self.domain not in {RUNNING, PAUSED}:
            raise Refused("domain is not running")
        self.domain = OFF
        self._done("destroy")

    def set_autostart(self, uuid: str, *, on: bool) -> None:
        self._note("set_autostart")
        self.autostart = on
        self._done("set_autostart")

    def uuid_of(self, called: str) -> str:
        raise _unknown("uuid_of")

    def own_definition(self, uuid: str) -> str:
        raise _unknown("own_definition")

    def check_definition(self, xml: str) -> str:
        raise _unknown("check_definition")

    def stored(self, uuid: str) -> Stored | None:
        raise _unknown("stored")

    def define(self, xml: str) -> Defined:
        self._note("define")
        self.domain = OFF
        self._done("define")
        return Defined("", "")

    def undefine(self, uuid: str, *, snapshots: bool = False, keep_tpm: bool = False) -> None:
        self._note("undefine")
        if self.domain is None:
            raise Refused("no domain")
        if self.domain == OFF:
            self.domain = None
        self._done("undefine")

    def pool_folders(self) -> tuple[str, ...]:
        raise _unknown("pool_folders")

    def target_facts(
        self,
        *,
        emulator: str,
        arch: str,
        machine: str,
        cpu: str,
        volumes: Sequence[tuple[str, str]],
        page_waits: bool = False,
    ) -> HostOffer:
        raise _unknown("target_facts")


def facts(
    *, xml: str = "", inactive_xml: str = "", portable_xml: str = "", active: bool = True
) -> MoveFacts:
    """As a host with such a domain says."""
    return MoveFacts(
        name="web",
        state=state_of(RUNNING if active else OFF),
        active=active,
        persistent=True,
        autostart=False,
        xml=xml,
        inactive_xml=inactive_xml,
        portable_xml=portable_xml,
        busy=False,
        snapshots=0,
        checkpoints=0,
        managed_save=False,
        libvirt=9_000_000,
        qemu=7_002_022,
    )


def _unknown(name: str) -> AssertionError:
    return AssertionError(f"the libvirt of a move's tests knows no {name!r}")
