"""Hosts, VMs and readings to sample: what libvirt and a kernel answer, made up."""

import uuid
from typing import Any

from django.utils import timezone

from hosts.models import VM, Host

START = 1_800_000_000 // 86_400 * 86_400
XML = """<domain type='kvm' id='7'><devices>
<interface type='network'><mac address='52:54:00:00:00:01'/><target dev='vnet4'/></interface>
</devices></domain>"""


def host(name: str = "alpha") -> Host:
    return Host.objects.create(name=name, target=f"root@{name}.invalid")


def vm(on: Host, name: str = "home") -> VM:
    now = timezone.now()
    return VM.objects.create(
        uuid=uuid.uuid4(), name=name, host=on, xml=XML, first_seen_at=now, seen_at=now
    )


def stats(turn: int, life: int = 7, disks: tuple[str, ...] = ("vda",)) -> dict[str, Any]:
    """After `turn` turns in which the VM used half of its CPU and wrote 1 MB/s in 10 requests."""
    fields: dict[str, Any] = {
        "id": life,
        "cpu.time": turn * 5_000_000_000,
        "vcpu.current": 1,
        "vcpu.maximum": 1,
        "vcpu.0.state": 1,
        "vcpu.0.delay": 0,
        "balloon.current": 262_144,
        "net.count": 1,
        "net.0.name": "vnet4",
        "net.0.rx.bytes": turn * 1000,
        "net.0.tx.bytes": 0,
        "block.count": len(disks),
    }
    for number, disk in enumerate(disks):
        fields |= {
            f"block.{number}.name": disk,
            f"block.{number}.rd.bytes": 0,
            f"block.{number}.wr.bytes": turn * 10_000_000,
            f"block.{number}.rd.reqs": 0,
            f"block.{number}.wr.reqs": turn * 100,
            f"block.{number}.rd.times": 0,
            f"block.{number}.wr.times": turn * 100 * 2_000_000,
        }
    return fields


def proc(turn: int, boot: str = "b1", devices: tuple[str, ...] = ("sda",)) -> str:
    """A host that is 10 % busy and 5 % waiting, with load 0.5 and 3 GiB of 4 free."""
    lines = [
        f"==> /proc/uptime <==\n{1000 + 10 * turn}.00 0",
        f"==> /proc/sys/kernel/random/boot_id <==\n{boot}",
        f"==> /proc/stat <==\ncpu {turn * 100} 0 0 {turn * 850} {turn * 50} 0 0 0 0 0",
        "==> /proc/meminfo <==\nMemTotal: 4194304 kB\nMemAvailable: 3145728 kB",
        "==> /proc/loadavg <==\n0.50 0.40 0.30 1/100 99",
        f"==> /proc/pressure/io <==\nsome avg10=0 avg60=0 avg300=0 total={turn * 1_000_000}",
        "==> /proc/diskstats <==",
        *(f"8 0 {name} {turn * 10} 0 {turn * 200} {turn * 50} 0 0 0 0 0 0 0" for name in devices),
        f"==> /proc/net/dev <==\n eth0: {turn * 5000} 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0",
        "==> nics <==\n/sys/class/net/eth0/device",
    ]
    return "\n".join(lines)
