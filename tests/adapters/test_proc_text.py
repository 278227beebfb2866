"""Reading the kernel's files as one command prints them."""

import math
import subprocess
from pathlib import Path

from labpanel.adapters.looks.proc_text import COMMAND, parse

RECORDED = """\
==> /proc/uptime <==
3274.13 6000.98

==> /proc/sys/kernel/random/boot_id <==
9bfc4b1f-2231-4e40-b8e4-b168b21e43f9

==> /proc/stat <==
cpu  25072 12734 12246 600120 2118 0 388 57 0 0
cpu0 12536 6367 6123 300060 1059 0 194 28 0 0

==> /proc/meminfo <==
MemTotal:       24684084 kB
MemFree:        18431360 kB
MemAvailable:   22597248 kB
SwapTotal:             0 kB

==> /proc/loadavg <==
1.81 1.20 0.90 3/512 12345

==> /proc/pressure/io <==
some avg10=0.00 avg60=0.10 avg300=0.20 total=20307030
full avg10=0.00 avg60=0.00 avg300=0.00 total=99

==> /proc/diskstats <==
   8       0 sda 100 5 2048 40 200 6 4096 80 0 120 120 0 0 0 0 0 0
   a line of tomorrow

==> /proc/net/dev <==
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs
  eth0: 952130751 10 0 0 0 0 0 0 1523451 11 0 0 0 0 0 0
==> nics <==
/sys/class/net/eth0/device
"""


def test_a_recorded_answer() -> None:
    found = parse(RECORDED)
    assert (found.uptime, found.boot_id[:8], found.nics) == (3274.13, "9bfc4b1f", ("eth0",))
    assert found.fields["cpu.iowait"] == 2118
    assert found.fields["memory.MemAvailable"] == 22597248 * 1024
    assert found.fields["psi.io"] == 20307030
    assert "psi.cpu" not in found.fields
    assert found.fields["disk.sda.write_sectors"] == 4096
    assert found.fields["disk.sda.busy_ms"] == 120
    assert (found.fields["net.eth0.rx"], found.fields["net.eth0.tx"]) == (952130751, 1523451)


def test_nothing_is_an_answer_too() -> None:
    found = parse("")
    assert math.isnan(found.uptime)
    assert not found.fields


def test_this_machine_s_kernel() -> None:
    text = subprocess.run(COMMAND, capture_output=True, text=True, check=False, timeout=10).stdout
    found = parse(text)
    assert found.boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert found.fields["memory.MemTotal"] > 0
    assert {"cpu.idle", "load1", "net.lo.rx"} <= set(found.fields)
