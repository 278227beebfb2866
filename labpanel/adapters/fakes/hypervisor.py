"""A libvirt in memory, for the short reads of `hypervisor.pool` and for one job's connection."""

import contextlib
from collections.abc import Iterator
from typing import Any

from labpanel.adapters.domain_xml import STATES
from labpanel.adapters.errors import AdapterError, Missing
from labpanel.lib.shapes import Endpoint

_DOMAIN = """<domain type='kvm'{id}>
  <name>{name}</name><uuid>{uuid}</uuid>
  <memory unit='KiB'>262144</memory><vcpu>2</vcpu>
  <devices>{disks}</devices>
</domain>"""
_DISK = """<disk type='file' device='disk'>
  <driver name='qemu' type='{format}'/><source file='{source}'/>
  <target dev='{target}' bus='virtio'/>
</disk>"""


class FakeLibvirt:
    """Domains of each host by its name. `fails[call]` is raised instead of an answer."""

    def __init__(self) -> None:
        self.hosts: dict[str, list[dict[str, Any]]] = {}
        self.fails: dict[str, AdapterError] = {}
        self.asked: list[tuple[str, str, dict[str, Any]]] = []
        self.in_the_way: dict[str, list[str]] = {}

    def put(
        self,
        host: str,
        uuid: str,
        name: str,
        state: str = "running",
        disks: dict[str, str] | None = None,
        lasting: dict[str, str] | None = None,
    ) -> None:
        """A domain with `disks` (target → path) in use and `lasting` ones in its definition."""
        used = disks or {}
        on = state != "shut off"
        known = [one for one in self.hosts.setdefault(host, []) if one["uuid"] != uuid]
        report = {
            "uuid": uuid,
            "name": name,
            "id": 1 if on else -1,
            "state": STATES.index(state),
            "reason": 1,
            "persistent": True,
            "autostart": False,
            "xml": domain(uuid, name, used),
            "inactive_xml": domain(uuid, name, used if lasting is None else lasting),
        }
        self.hosts[host] = [*known, report]

    def take(self, host: str, uuid: str) -> None:
        self.hosts[host] = [one for one in self.hosts[host] if one["uuid"] != uuid]

    def call(self, endpoint: Endpoint, name: str, *, deadline: float, **arguments: Any) -> Any:
        self.asked.append((endpoint.name, name, arguments))
        if name in self.fails:
            raise self.fails[name]
        domains = self.hosts.get(endpoint.name, [])
        match name:
            case "versions":
                return {"libvirt": 9000000, "hypervisor": 7002022, "hostname": "", "type": "QEMU"}
            case "inventory":
                return domains
            case "disk_sizes":
                return {}
            case "checkpoints_in_the_way":
                here = {one["uuid"] for one in domains}
                return {uuid: names for uuid, names in self.in_the_way.items() if uuid in here}
            case "backup_facts":
                return next(one for one in domains if one["uuid"] == arguments["uuid"])
            case "forget_checkpoints":
                return self.in_the_way.pop(arguments["uuid"])
            case _:
                return self._change(endpoint, name, arguments["uuid"])

    @contextlib.contextmanager
    def opened(self, endpoint: Endpoint, channel: str = "main") -> Iterator["FakeConnection"]:
        yield FakeConnection(self, endpoint)

    def _change(self, endpoint: Endpoint, name: str, uuid: str) -> Any:
        found = [one for one in self.hosts.get(endpoint.name, []) if one["uuid"] == uuid]
        if name == "state":
            return {"known": bool(found), "state": found[0]["state"] if found else None}
        if not found:
            raise Missing(f"libvirt on {endpoint.name} refused `{name}`: no domain")
        after = {"start": "running", "destroy": "shut off", "shutdown": "shut off"}
        if name in after:
            found[0]["state"] = STATES.index(after[name])
        return None


class FakeConnection:
    def __init__(self, libvirt: FakeLibvirt, endpoint: Endpoint) -> None:
        self._libvirt = libvirt
        self._endpoint = endpoint

    def call(self, name: str, *, deadline: float, **arguments: Any) -> Any:
        return self._libvirt.call(self._endpoint, name, deadline=deadline, **arguments)


def domain(uuid: str, name: str, disks: dict[str, str]) -> str:
    """Domain XML as libvirt writes it; `name` is escaped."""
    words = [
        _DISK.format(target=target, source=source, format="raw" if ".raw" in source else "qcow2")
        for target, source in disks.items()
    ]
    safe = name.replace("&", "&amp;").replace("<", "&lt;")
    return _DOMAIN.format(id="", name=safe, uuid=uuid, disks="".join(words))
