"""`./panel vm …`: the VMs of all hosts."""

SUMMARY = "list and show VMs; start, shut down, reboot, reset, switch off, resume"
