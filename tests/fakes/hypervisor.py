"""A libvirt in memory, for the short reads of `hypervisor.pool` and for one job's connection."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from labpanel.adapters.errors import AdapterError, Missing, Refused
from labpanel.adapters.libvirt import answers
from labpanel.adapters.libvirt.answers import Reports
from labpanel.adapters.libvirt.uses.backups import BackupFacts
from labpanel.adapters.libvirt.uses.definitions import Defined, DefinesDomains, Stored
from labpanel.adapters.libvirt.uses.inventory import ReadsDomains
from labpanel.adapters.libvirt.uses.jobs import MakesWay
from labpanel.adapters.libvirt.uses.power import Powers
from labpanel.lib.closed import Odd
from labpanel.lib.shapes import Endpoint
from labpanel.lib.vm_state import (
    PAUSED,
    RUNNING,
    SHUT_OFF,
    STATES,
    DiskError,
    DomainState,
    Reason,
    number_of,
    reason_of,
    state_of,
)

Value = TypeVar("Value")

_DOMAIN = """<domain type='kvm'{id}>
  <name>{name}</name><uuid>{uuid}</uuid>
  <memory unit='KiB'>262144</memory><vcpu>2</vcpu>
  <devices>{disks}</devices>
</domain>"""
_DISK = """<disk type='file' device='disk'>
  <driver name='qemu' type='{format}'/><source file='{source}'/>
  <target dev='{target}' bus='virtio'/>
</disk>"""


_USUAL = {"running": Reason.BOOTED, "paused": Reason.USER, "shut off": Reason.SHUTDOWN}


class FakeLibvirt:
    """Domains of each host by its name. `fails[call]` is raised instead of an answer. The disks of
    VMs in `broken` fail again as soon as they are resumed, which is what QEMU's `werror=stop` does
    while nothing was mended; guests in `deaf` ignore the power button; `disk_errors` are
    virDomainGetDiskErrors'."""

    def __init__(self) -> None:
        self.hosts: dict[str, list[dict[str, Any]]] = {}
        self.fails: dict[str, AdapterError] = {}
        self.asked: list[tuple[str, str, dict[str, Any]]] = []
        self.in_the_way: dict[str, list[str]] = {}
        self.disk_errors: dict[str, dict[str, int]] = {}
        self.broken: set[str] = set()
        self.deaf: set[str] = set()
        self._runs = 100

    def put(
        self,
        host: str,
        uuid: str,
        name: str,
        state: str = "running",
        disks: dict[str, str] | None = None,
        lasting: dict[str, str] | None = None,
        reason: Reason | None = None,
        run: int = 1,
    ) -> None:
        """A domain with `disks` (target → path) in use and `lasting` ones in its definition. As in
        libvirt a reason is a number that means another thing in each state, and `run` is -1 of
        one that is off (virDomainGetState, virDomainGetID)."""
        used = disks or {}
        on = state != "shut off"
        known = [one for one in self.hosts.setdefault(host, []) if one["uuid"] != uuid]
        report = {
            "uuid": uuid,
            "name": name,
            "id": run if on else -1,
            "state": STATES.index(state),
            "reason": number_of(state, reason or _USUAL.get(state, Reason.UNKNOWN)),
            "rebooted": [],
            "persistent": True,
            "autostart": False,
            "xml": domain(uuid, name, used),
            "inactive_xml": domain(uuid, name, used if lasting is None else lasting),
        }
        self.hosts[host] = [*known, report]

    def take(self, host: str, uuid: str) -> None:
        self.hosts[host] = [one for one in self.hosts[host] if one["uuid"] != uuid]

    def of(self, endpoint: Endpoint) -> "FakeConnection":
        return FakeConnection(self, endpoint)

    @contextlib.contextmanager
    def opened(self, endpoint: Endpoint, channel: str = "main") -> Iterator["FakeConnection"]:
        yield FakeConnection(self, endpoint)

    def next_run(self) -> int:
        self._runs += 1
        return self._runs


class FakeConnection(ReadsDomains, Powers, DefinesDomains, MakesWay):
    """One host's libvirt. What no test has needed yet is refused."""

    def __init__(self, libvirt: FakeLibvirt, endpoint: Endpoint) -> None:
        self._libvirt = libvirt
        self._endpoint = endpoint

    def versions(self) -> dict[str, int]:
        self._say("versions")
        return answers.versions({"libvirt": 9000000, "hypervisor": 7002022})

    def inventory(self) -> Reports:
        self._say("inventory")
        return self._read(lambda: answers.reports(self._domains, self._endpoint.name))

    def disk_sizes(self) -> dict[str, dict[str, list[int | None]]]:
        self._say("disk_sizes")
        return {}

    def disk_errors(self, uuids: Sequence[str]) -> dict[str, dict[str, DiskError]]:
        self._say("disk_errors", uuids=uuids)
        asked = {one["uuid"] for one in self._domains if one["id"] >= 0} & set(uuids)
        told = {uuid: self._libvirt.disk_errors.get(uuid, {}) for uuid in asked}
        return self._read(lambda: answers.disk_errors(told))

    def state(self, uuid: str) -> DomainState:
        self._say("state", uuid=uuid)
        found = self._find(uuid)
        if found is None:
            return DomainState(known=False)
        state = state_of(found["state"])
        run = found["id"] if found["id"] >= 0 else None
        return DomainState(True, state, reason_of(state, found["reason"]), run)

    def start(self, uuid: str) -> None:
        self._must_find("start", uuid)["id"] = self._libvirt.next_run()
        self._set(uuid, RUNNING, Reason.BOOTED)

    def resume(self, uuid: str) -> None:
        self._must_find("resume", uuid)
        broken = uuid in self._libvirt.broken
        self._set(uuid, *((PAUSED, Reason.IO_ERROR) if broken else (RUNNING, Reason.UNPAUSED)))

    def shutdown(self, uuid: str) -> None:
        self._must_find("shutdown", uuid)
        if uuid not in self._libvirt.deaf:
            self._switch_off(uuid, Reason.SHUTDOWN)

    def reboot(self, uuid: str) -> None:
        self._must_find("reboot", uuid)

    def reset(self, uuid: str) -> None:
        self._must_find("reset", uuid)

    def destroy(self, uuid: str) -> None:
        self._must_find("destroy", uuid)
        self._switch_off(uuid, Reason.DESTROYED)

    def set_autostart(self, uuid: str, *, on: bool) -> None:
        raise _unknown("set_autostart")

    def uuid_of(self, called: str) -> str:
        raise _unknown("uuid_of")

    def own_definition(self, uuid: str) -> str:
        self._say("own_definition", uuid=uuid)
        found = self._find(uuid)
        return str(found["inactive_xml"]) if found and found["persistent"] else ""

    def check_definition(self, xml: str) -> str:
        raise _unknown("check_definition")

    def stored(self, uuid: str) -> Stored | None:
        raise _unknown("stored")

    def define(self, xml: str) -> Defined:
        raise _unknown("define")

    def undefine(self, uuid: str, *, snapshots: bool = False, keep_tpm: bool = False) -> None:
        """One that runs goes on, transient (virDomainUndefineFlags)."""
        found = self._must_find("undefine", uuid, snapshots=snapshots, keep_tpm=keep_tpm)
        if found["id"] == -1:
            self._libvirt.take(self._endpoint.name, uuid)
        found["persistent"] = False

    def backup_facts(self, uuid: str) -> BackupFacts:
        found = self._must_find("backup_facts", uuid)
        return BackupFacts(
            name=found["name"],
            run=found["id"] if found["id"] >= 0 else None,
            state=state_of(found["state"]),
            active=found["id"] >= 0,
            xml=found["xml"],
            inactive_xml=found["inactive_xml"],
            busy=False,
            snapshots=1,
            managed_save=False,
            libvirt=9_000_000,
            qemu=7_002_022,
        )

    def checkpoints(self, uuid: str) -> tuple[str, ...]:
        raise _unknown("checkpoints")

    def checkpoints_in_the_way(self, prefix: str) -> dict[str, tuple[str, ...]]:
        self._say("checkpoints_in_the_way", prefix=prefix)
        here = {one["uuid"] for one in self._domains}
        found = self._libvirt.in_the_way.items()
        return {uuid: tuple(names) for uuid, names in found if uuid in here}

    def prove_checkpoint(self, uuid: str, checkpoint: str) -> str:
        raise _unknown("prove_checkpoint")

    def forget_checkpoints(
        self, uuid: str, names: Sequence[str], targets: Sequence[str]
    ) -> tuple[str, ...]:
        self._say("forget_checkpoints", uuid=uuid, names=list(names), targets=list(targets))
        return tuple(self._libvirt.in_the_way.pop(uuid))

    def drop_checkpoint_records(self, uuid: str, prefix: str) -> tuple[str, ...]:
        raise _unknown("drop_checkpoint_records")

    @property
    def _domains(self) -> list[dict[str, Any]]:
        return self._libvirt.hosts.get(self._endpoint.name, [])

    def _say(self, name: str, **arguments: Any) -> None:
        self._libvirt.asked.append((self._endpoint.name, name, arguments))
        if name in self._libvirt.fails:
            raise self._libvirt.fails[name]

    def _read(self, read: Callable[[], Value]) -> Value:
        """As libvirt/calls.py does with an answer that makes no sense."""
        try:
            return read()
        except Odd as odd:
            sentence = (
                f"libvirt on {self._endpoint.name} gave an answer that makes no sense: {odd}."
            )
            raise Refused(sentence) from odd

    def _find(self, uuid: str) -> dict[str, Any] | None:
        return next((one for one in self._domains if one["uuid"] == uuid), None)

    def _must_find(self, name: str, uuid: str, **arguments: Any) -> dict[str, Any]:
        self._say(name, uuid=uuid, **arguments)
        found = self._find(uuid)
        if found is None:
            raise Missing(f"libvirt on {self._endpoint.name} refused `{name}`: no domain")
        return found

    def _set(self, uuid: str, state: str, reason: Reason) -> None:
        found = self._find(uuid)
        assert found is not None
        found.update(state=STATES.index(state), reason=number_of(state, reason))

    def _switch_off(self, uuid: str, reason: Reason) -> None:
        found = self._find(uuid)
        assert found is not None
        found["id"] = -1
        self._set(uuid, SHUT_OFF, reason)


def _unknown(name: str) -> AssertionError:
    return AssertionError(f"the libvirt of the tests knows no {name!r}")


def domain(uuid: str, name: str, disks: dict[str, str]) -> str:
    """Domain XML as libvirt writes it; `name` is escaped."""
    words = [
        _DISK.format(target=target, source=source, format="raw" if ".raw" in source else "qcow2")
        for target, source in disks.items()
    ]
    safe = name.replace("&", "&amp;").replace("<", "&lt;")
    return _DOMAIN.format(id="", name=safe, uuid=uuid, disks="".join(words))
