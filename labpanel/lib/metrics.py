"""What is sampled of which kind of subject: the layout of a sample's packed values.

Layouts only ever grow at the end: an old row with fewer values stays readable.
"""

LAYOUTS: dict[str, tuple[str, ...]] = {
    # percent of the VM's own vCPUs; steal = vcpu.N.delay; memory in bytes
    "vm": ("cpu_percent", "steal_percent", "memory_used", "memory_available", "memory_balloon"),
    # bytes/s, requests/s, milliseconds for each request
    "virtual-disk": (
        "read_bytes",
        "write_bytes",
        "read_iops",
        "write_iops",
        "read_ms",
        "write_ms",
    ),
    "nic": ("rx_bytes", "tx_bytes"),
    # percent of all CPUs; PSI = share of time in percent ("some", avg over the interval)
    "host": (
        "cpu_user",
        "cpu_system",
        "cpu_iowait",
        "cpu_steal",
        "load1",
        "memory_used",
        "memory_available",
        "swap_used",
        "psi_cpu",
        "psi_memory",
        "psi_io",
    ),
    "block-device": (
        "read_bytes",
        "write_bytes",
        "read_iops",
        "write_iops",
        "read_ms",
        "write_ms",
        "util_percent",
    ),
    "host-nic": ("rx_bytes", "tx_bytes"),
    "file-system": ("used_bytes", "available_bytes"),
}
