"""What libvirt 9.0 and Linux 6.1 answer for a host with six VMs: the fields, and counters that
grow. Fields that the panel does not sample are there too: reading them costs time like the rest."""

import json
from typing import Any

_MONITORED = "swap_in swap_out major_fault minor_fault disk_caches rss last-update"
_BLOCK = "rd.reqs rd.bytes rd.times wr.reqs wr.bytes wr.times fl.reqs fl.times"
_NET = "rx.bytes rx.pkts rx.errs rx.drop tx.bytes tx.pkts tx.errs tx.drop"


def libvirt_answer(uuids: list[str], first: int, turn: int) -> str:
    """The bulk call's answer as the child sends it. `first` numbers the VMs' NICs."""
    answer = {uuid: vm(first + number, turn) for number, uuid in enumerate(uuids)}
    return json.dumps(answer)


def vm(number: int, turn: int) -> dict[str, Any]:
    """Two vCPUs, two virtual disks, one NIC, a balloon driver."""
    grown = 1_000_000 * turn + number
    fields: dict[str, Any] = {"id": number, "state.state": 1, "state.reason": 1}
    fields |= {"cpu.time": grown * 3000, "cpu.user": grown * 1000, "cpu.system": grown * 2000}
    fields |= {"balloon.current": 2_097_152, "balloon.maximum": 2_097_152}
    fields |= {"balloon.available": 2_000_000, "balloon.unused": 1_000_000 + turn}
    fields |= {"balloon.usable": 1_500_000, "vcpu.current": 2, "vcpu.maximum": 2}
    fields |= {f"balloon.{name}": grown for name in _MONITORED.split()}
    for cpu in range(2):
        fields |= {f"vcpu.{cpu}.state": 1, f"vcpu.{cpu}.time": grown * 1500}
        fields |= {f"vcpu.{cpu}.wait": 0, f"vcpu.{cpu}.delay": grown, f"vcpu.{cpu}.halted": "no"}
    fields |= {"net.count": 1, "net.0.name": f"vnet{number}"}
    fields |= {f"net.0.{name}": grown for name in _NET.split()}
    fields["block.count"] = 2
    for place, target in enumerate(("vda", "vdb")):
        fields |= {f"block.{place}.name": target, f"block.{place}.path": f"/srv/images/{number}"}
        fields |= {f"block.{place}.{name}": grown * (place + 1) for name in _BLOCK.split()}
        fields |= {f"block.{place}.{name}": 2**34 for name in ("allocation", "capacity")}
    return fields


def proc_answer(turn: int) -> str:
    """The kernel's files of a host with eight CPUs, some loop devices and a dozen NICs."""
    ticks = " ".join(str(turn * 100 + place) for place in range(10))
    cpus = "\n".join(f"cpu{number} {ticks}" for number in range(8))
    memory = "MemTotal: 33554432 kB\nMemFree: 1000 kB\nMemAvailable: 20000000 kB\n"
    memory += "\n".join(f"Other{number}: {number} kB" for number in range(50))
    counts = " ".join(str(turn * 50 + place) for place in range(17))
    names = ["sda", "sda1", "sdb", "sdb1", *(f"loop{number}" for number in range(8)), "dm-0"]
    disks = "\n".join(f"   8       0 {name} {counts}" for name in names)
    nics = "\n".join(f" {name}: {counts[:60]} 0 0 0 0 0 0 0 0 0" for name in _nics())
    pressure = f"some avg10=0.00 avg60=0.00 avg300=0.00 total={turn * 1000}"
    parts = {
        "/proc/uptime": f"{1000 + 10 * turn}.5 9",
        "/proc/sys/kernel/random/boot_id": "9bfc4b1f-2231-4e40-b8e4-b168b21e43f9",
        "/proc/stat": f"cpu  {ticks}\n{cpus}\nintr 1 {'0 ' * 300}\nctxt 1",
        "/proc/meminfo": memory,
        "/proc/loadavg": "0.50 0.40 0.30 1/900 12345",
        **{f"/proc/pressure/{kind}": pressure for kind in ("cpu", "memory", "io")},
        "/proc/diskstats": disks,
        "/proc/net/dev": nics,
        "nics": "/sys/class/net/eth0/device",
    }
    return "\n".join(f"==> {name} <==\n{text}" for name, text in parts.items())


def _nics() -> list[str]:
    return ["lo", "eth0", "virbr0", *(f"vnet{number}" for number in range(9))]
